import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openAuthority } from '../../control-plane/authority/authority.ts';
import { parseRateLimit } from '../../protocol/annotations/rate-limit.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { Admitted } from './admitted.ts';
import { type Findings, proofOf, QuotaSidecar } from './sidecar.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const SERVICE = 'shop/orders';
const TICK_MS = 4;
const MAX_RUN_MS = 600_000;

export interface FleetOptions {
  readonly dir: string;
  readonly sidecars: number;
  readonly controlPlanes: number;
  /** As in the annotation. */
  readonly limit: string;
  /** As in `quotas.store`. */
  readonly store: string;
}

/** Requests a second of sidecar `index` at `ms` of a phase. */
export type Demand = (index: number, ms: number) => number;

/** Sidecars and control planes on one store. */
export class Fleet {
  readonly limit: RateLimit;
  readonly sidecars: readonly QuotaSidecar[];
  readonly controlPlanes: readonly ChildProcess[];
  readonly startMs: number;
  readonly findings: Findings;

  private constructor(
    limit: RateLimit,
    sidecars: QuotaSidecar[],
    planes: ChildProcess[],
    findings: Findings,
    startMs: number,
  ) {
    this.limit = limit;
    this.sidecars = sidecars;
    this.controlPlanes = planes;
    this.findings = findings;
    this.startMs = startMs;
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const { dir, limit: text } = options;
    const parsed = parseRateLimit(text);
    const [limit] = 'rateLimits' in parsed ? (parsed.rateLimits ?? []) : [];
    if (limit === undefined) throw new Error(`${text} is no rate limit`);
    const mesh = {
      quotas: { store: options.store },
      services: [
        { name: 'orders', namespace: 'shop', port: 80, annotations: { 'tulle.dev/rate-limit': text } },
      ],
    };
    const [meshFile, state] = [join(dir, 'mesh.yaml'), join(dir, 'state')];
    writeFileSync(meshFile, JSON.stringify(mesh));
    const authority = await openAuthority(state, { trustDomain: 'mesh.local' });
    const planes = Array.from({ length: options.controlPlanes }, () => startControlPlane(meshFile, state));
    const addresses = await Promise.all(planes.map(({ address }) => address));
    const proof = await proofOf(authority, SERVICE);
    authority.close();
    const startMs = performance.now();
    const admitted = new Admitted(startMs, MAX_RUN_MS);
    const findings: Findings = { admitted, refused: 0, waitedMs: [], decidedUs: [] };
    const sidecars = Array.from(
      { length: options.sidecars },
      (_, index) => new QuotaSidecar(addresses, index, proof, SERVICE, limit, findings),
    );
    return new Fleet(
      limit,
      sidecars,
      planes.map(({ child }) => child),
      findings,
      startMs,
    );
  }

  /** Now, in ms since the start. */
  get nowMs(): number {
    return performance.now() - this.startMs;
  }

  /** Lets requests come for so long; `during` may do harm meanwhile. Returns when it began and ended, in ms since the start. */
  async run(
    lengthMs: number,
    demand: Demand,
    during: () => Promise<void> = () => Promise.resolve(),
  ): Promise<{ fromMs: number; toMs: number }> {
    const fromMs = this.nowMs;
    let beforeMs = fromMs;
    const harm = during();
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const { nowMs } = this;
        const passedMs = nowMs - beforeMs;
        beforeMs = nowMs;
        for (const [index, sidecar] of this.sidecars.entries())
          sidecar.come((demand(index, nowMs - fromMs) * passedMs) / 1000);
        if (nowMs - fromMs < lengthMs) return;
        clearInterval(timer);
        resolve();
      }, TICK_MS);
    });
    await harm;
    return { fromMs, toMs: this.nowMs };
  }

  /** What was admitted beyond the quota in the worst window of the whole run; no more than 0 if it was kept. */
  get excess(): number {
    const { tokens, perMs, burst } = this.limit;
    return this.findings.admitted.excess(tokens / perMs, burst);
  }

  /** Admitted of what the quota allows in that time. */
  utilisation(fromMs: number, toMs: number): number {
    const { tokens, perMs } = this.limit;
    return this.findings.admitted.between(fromMs, toMs) / ((tokens / perMs) * (toMs - fromMs));
  }

  async close(): Promise<void> {
    for (const sidecar of this.sidecars) sidecar.close();
    await Promise.all(this.controlPlanes.map(end));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function startControlPlane(mesh: string, state: string): { child: ChildProcess; address: Promise<string> } {
  const args = ['control-plane', '--mesh', mesh, '--state', state, '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [MAIN, ...args, '--log-level', 'warn'], {
    stdio: ['ignore', 'pipe', process.env.QUOTAS_LOG === undefined ? 'ignore' : 'inherit'],
  });
  const line = once(createInterface({ input: child.stdout }), 'line').then(
    ([text]) => (JSON.parse(String(text)) as { address: string }).address,
  );
  const early = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`a control plane ended with ${code}`)),
  );
  early.catch(() => {}); // it ends some time
  return { child, address: Promise.race([line, early]) };
}

/** The value below which so much of all is, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
