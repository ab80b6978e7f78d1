import { Admitted } from './admitted.ts';
import { type Demand, demandOf } from './demand.ts';
import { type Answer, type Findings, machineMs, type Order, type Start } from './messages.ts';
import { type Observer, QuotaSidecar } from './sidecar.ts';

/** A process of some of a fleet's sidecars; its parent is `Fleet`. */

const TICK_MS = 4;
/** More are not kept of one run. */
const MAX_SAMPLES = 200_000;

function answer(message: Answer): void {
  process.send?.(message);
}

class Worker {
  private readonly start: Start;
  private readonly sidecars: QuotaSidecar[];
  private readonly admitted: Admitted;
  /** `performance.now()` at the start of the fleet. */
  private readonly zeroMs: number;
  private refused = 0;
  private waitedMs: number[] = [];
  private decidedUs: number[] = [];
  private changedMs: number[] = [];

  constructor(start: Start) {
    this.start = start;
    this.zeroMs = performance.now() - (machineMs() - start.startMs);
    this.admitted = new Admitted(start.lengthMs);
    const observer: Observer = {
      decided: (admitted, nowMs) => {
        if (admitted) this.admitted.note(nowMs - this.zeroMs);
        else this.refused++;
      },
      waited: (ms) => {
        if (this.waitedMs.length < MAX_SAMPLES) this.waitedMs.push(ms);
      },
      took: (us) => {
        if (this.decidedUs.length < MAX_SAMPLES) this.decidedUs.push(us);
      },
      changed: (nowMs) => void this.changedMs.push(nowMs - this.zeroMs),
    };
    const { addresses, first, own, proof, service, limit } = start;
    this.sidecars = Array.from(
      { length: own },
      (_, at) => new QuotaSidecar(addresses, first + at, proof, service, limit, observer),
    );
  }

  private get nowMs(): number {
    return performance.now() - this.zeroMs;
  }

  /** Lets requests come, and tells what became of them. */
  run(fromMs: number, lengthMs: number, demand: Demand): void {
    const before = this.sidecars.map(({ admitted }) => admitted);
    let [lastMs, lateMs] = [fromMs, 0];
    const tick = (): void => {
      const { nowMs } = this;
      if (nowMs < fromMs) return;
      const passedMs = nowMs - lastMs;
      lateMs = Math.max(lateMs, passedMs - TICK_MS);
      lastMs = nowMs;
      const { first, count } = this.start;
      for (const [at, sidecar] of this.sidecars.entries())
        sidecar.come((demandOf(demand, first + at, count, nowMs - fromMs) * passedMs) / 1000);
      if (nowMs - fromMs < lengthMs) return;
      clearInterval(timer);
      answer({ type: 'ran', findings: this.findings(before, lateMs) });
    };
    const timer = setInterval(tick, TICK_MS);
  }

  private findings(before: readonly number[], lateMs: number): Findings {
    const { refused, waitedMs, decidedUs, changedMs } = this;
    this.refused = 0;
    this.waitedMs = [];
    this.decidedUs = [];
    this.changedMs = [];
    const each = this.sidecars.map(({ admitted }, at) => admitted - (before[at] ?? 0));
    const admitted = this.admitted.take(this.nowMs);
    return { admitted, each, refused, waitedMs, decidedUs, changedMs, lateMs };
  }
}

let worker: Worker | undefined;

process.on('message', (order: Order) => {
  if (order.type === 'start') {
    worker = new Worker(order);
    answer({ type: 'ready' });
  } else worker?.run(order.fromMs, order.lengthMs, order.demand);
});
process.on('disconnect', () => process.exit(0));
