import { VERSION } from '../../protocol/version.ts';
import type { IdentitySource } from '../identity/identity.ts';
import type { AdminSources } from '../listeners/admin.ts';
import type { Readiness } from '../listeners/admin-views.ts';
import type { Explanation } from '../telemetry/explanation.ts';
import { createMetrics, type Exposition, type RegisterProcess } from '../telemetry/metrics.ts';
import { mergedConfig } from './merged-config.ts';
import { mergedExplanation, mergedRecent } from './merged-explanations.ts';
import { MergedEdges, mergedGauges } from './merged-numbers.ts';
import { mergedReadiness, type WorkerState } from './merged-readiness.ts';
import type { Question, Questions } from './messages.ts';
import { byWorker, type NamedProcess, registerProcesses } from './process-metrics.ts';
import { processNumbers } from './process-numbers.ts';
import type { WorkerNumbers } from './worker-numbers.ts';
import type { WorkerProcess } from './worker-process.ts';

/** What is looked at of a worker's process. */
export type ViewedWorker = Pick<WorkerProcess, 'number' | 'accepting' | 'restarts' | 'away' | 'ask'>;

interface Answer<Q extends Question> {
  readonly worker: ViewedWorker;
  readonly value: Questions[Q];
}

/** What was read for a scrape. */
interface Reading {
  readonly edges: MergedEdges;
  readonly answered: readonly Answer<'numbers'>[];
  readonly processes: readonly NamedProcess[];
}

const NOTHING: Reading = { edges: new MergedEdges(), answered: [], processes: [] };

/** All workers as one data plane, for the admin port. */
export class SharedView {
  draining = false;
  private readonly workers: readonly ViewedWorker[];
  private readonly identity: () => IdentitySource | undefined;
  /** What was last heard of each: a worker that is silent or gone must not make a sum fall. */
  private readonly last = new Map<ViewedWorker, WorkerNumbers['edges']>();
  private readonly departed = new MergedEdges();
  private reading = NOTHING;
  private readonly expose: () => Promise<Exposition>;

  constructor(workers: readonly ViewedWorker[], identity: () => IdentitySource | undefined) {
    this.workers = workers;
    this.identity = identity;
    this.expose = createMetrics(
      { all: () => this.reading.edges.all() },
      () => this.gauges(),
      (prom, registry) => {
        registerProcesses(prom, registry, () => this.reading.processes);
        this.registerWorkers(prom, registry);
      },
    );
  }

  sources(): Omit<AdminSources, 'drain'> {
    return {
      ready: () => this.ready(),
      config: async () => {
        const answers = await this.askAll('config');
        return mergedConfig(answers.map(({ worker, value }) => ({ worker: worker.number, config: value })));
      },
      certs: () => this.certs(),
      metrics: () => this.metrics(),
      explain: async (id) => mergedExplanation((await this.askAll('explain', id)).map(({ value }) => value)),
      recent: async (limit): Promise<Explanation[]> =>
        mergedRecent(
          (await this.askAll('recent', String(limit))).map(({ value }) => value),
          limit,
        ),
    };
  }

  /** A worker ended: what it had counted stays counted, as far as it was heard of. */
  keepCounters(worker: ViewedWorker): void {
    this.departed.add(this.last.get(worker) ?? []);
    this.last.delete(worker);
  }

  /** Answers of those that answer in time; `onAnswer` gets each at once, while its process is still the same. */
  private async askAll<Q extends Question>(
    question: Q,
    argument = '',
    onAnswer: (answer: Answer<Q>) => void = () => {},
  ): Promise<Answer<Q>[]> {
    const asked = this.workers.map(async (worker) => {
      const said = await worker.ask(question, argument);
      if (said === undefined) return undefined;
      const answer = { worker, value: said.value };
      onAnswer(answer);
      return answer;
    });
    return (await Promise.all(asked)).filter((answer) => answer !== undefined);
  }

  private async ready(): Promise<Readiness> {
    const answers = new Map((await this.askAll('ready')).map(({ worker, value }) => [worker, value]));
    const states = this.workers.map((worker): WorkerState => {
      const { number } = worker;
      const readiness = answers.get(worker);
      if (readiness !== undefined) return { number, state: 'answered', readiness };
      return worker.accepting ? { number, state: 'silent' } : { number, state: 'away', why: worker.away };
    });
    const merged = mergedReadiness(states);
    const reasons = [...merged.reasons];
    const degraded = [...merged.degraded];
    if (this.draining) reasons.unshift('draining: no new connections are taken');
    const identity = this.identity();
    const error = identity?.lastError();
    if (error !== undefined) {
      if (identity?.current() === undefined) reasons.unshift(`no certificate yet: ${error}`);
      else degraded.unshift(`certificate renewal: ${error}`);
    }
    return { ready: reasons.length === 0, reasons, degraded };
  }

  /** All have one certificate but for the moment of a renewal: that of the first is shown. */
  private async certs(): Promise<object> {
    const answers = await this.askAll('certs');
    const [first] = answers;
    if (first === undefined) return { identity: null, error: 'no worker answers' };
    const others = answers.filter(({ value }) => JSON.stringify(value) !== JSON.stringify(first.value));
    if (others.length === 0) return first.value;
    const numbers = others.map(({ worker }) => worker.number).join(', ');
    return { ...first.value, note: `this is of worker ${first.worker.number}; other ones have ${numbers}` };
  }

  private async metrics(): Promise<Exposition> {
    const answered = await this.askAll('numbers', '', ({ worker, value }) => {
      this.last.set(worker, value.edges);
    });
    const edges = new MergedEdges();
    edges.add(this.departed.all().map((stats) => stats.numbers()));
    for (const numbers of this.last.values()) edges.add(numbers);
    const processes = answered.map(({ worker, value }) => ({
      worker: String(worker.number),
      numbers: value.process,
    }));
    this.reading = {
      edges,
      answered,
      processes: [{ worker: 'supervisor', numbers: processNumbers() }, ...processes],
    };
    return this.expose();
  }

  private gauges() {
    const gauges = this.reading.answered.map(({ value }) => value.gauges);
    const merged = mergedGauges(gauges, VERSION);
    const allAnswer = gauges.length === this.workers.filter(({ accepting }) => accepting).length;
    return { ...merged, ready: merged.ready && allAnswer && !this.draining };
  }

  private registerWorkers(...[prom, registry]: Parameters<RegisterProcess>): void {
    new prom.Gauge({
      name: 'tulle_workers',
      help: 'Worker processes that there shall be.',
      registers: [registry],
    }).set(this.workers.length);
    const { workers } = this;
    const reading = () => this.reading;
    new prom.Gauge({
      name: 'tulle_workers_answering',
      help: 'Worker processes that answered this scrape.',
      registers: [registry],
      collect() {
        this.set(reading().answered.length);
      },
    });
    byWorker(prom, registry, 'Counter', 'tulle_worker_restarts_total', 'Starts after the first.', () =>
      workers.map(({ number, restarts }) => [String(number), restarts]),
    );
    byWorker(prom, registry, 'Gauge', 'tulle_worker_connections_active', 'Open downstream connections.', () =>
      reading().answered.map(({ worker, value }) => [String(worker.number), value.gauges.connections]),
    );
  }
}
