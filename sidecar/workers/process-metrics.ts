import type { Registry } from 'prom-client';
import type { RegisterProcess } from '../telemetry/metrics.ts';
import type { ProcessNumbers } from './process-numbers.ts';

type Prom = Parameters<RegisterProcess>[0];

/** One process of a data plane: `supervisor`, or a worker by its number. */
export interface NamedProcess {
  readonly worker: string;
  readonly numbers: ProcessNumbers;
}

/** The usual names of what Node.js processes use, each with a label `worker`. */
const METRICS: readonly [
  name: string,
  type: 'Counter' | 'Gauge',
  help: string,
  read: (numbers: ProcessNumbers) => number,
][] = [
  [
    'process_cpu_user_seconds_total',
    'Counter',
    'CPU time in user mode, in seconds.',
    ({ cpuUserSeconds }) => cpuUserSeconds,
  ],
  [
    'process_cpu_system_seconds_total',
    'Counter',
    'CPU time in the kernel, in seconds.',
    ({ cpuSystemSeconds }) => cpuSystemSeconds,
  ],
  [
    'process_cpu_seconds_total',
    'Counter',
    'CPU time, in seconds.',
    ({ cpuUserSeconds, cpuSystemSeconds }) => cpuUserSeconds + cpuSystemSeconds,
  ],
  [
    'process_start_time_seconds',
    'Gauge',
    'Start of the process, in seconds since 1970.',
    ({ startSeconds }) => startSeconds,
  ],
  [
    'process_resident_memory_bytes',
    'Gauge',
    'Resident memory, in bytes.',
    ({ residentBytes }) => residentBytes,
  ],
  ['nodejs_heap_size_total_bytes', 'Gauge', 'Size of the heap.', ({ heapTotalBytes }) => heapTotalBytes],
  ['nodejs_heap_size_used_bytes', 'Gauge', 'Used part of the heap.', ({ heapUsedBytes }) => heapUsedBytes],
  [
    'nodejs_external_memory_bytes',
    'Gauge',
    'Memory outside of the heap that objects hold.',
    ({ externalBytes }) => externalBytes,
  ],
  [
    'nodejs_eventloop_lag_mean_seconds',
    'Gauge',
    'Mean lag of the event loop since the last scrape.',
    ({ lagMeanSeconds }) => lagMeanSeconds,
  ],
  [
    'nodejs_eventloop_lag_p99_seconds',
    'Gauge',
    '99th percentile of the lag of the event loop since the last scrape.',
    ({ lagP99Seconds }) => lagP99Seconds,
  ],
];

/** Registers the metrics of all `processes`, read when scraped. */
export function registerProcesses(
  prom: Prom,
  registry: Registry,
  processes: () => readonly NamedProcess[],
): void {
  for (const [name, type, help, read] of METRICS) {
    const values = (): readonly [worker: string, value: number][] =>
      processes().map(({ worker, numbers }) => [worker, read(numbers)]);
    byWorker(prom, registry, type, name, help, values);
  }
}

/** Registers one metric with a value for each worker, read when scraped. */
export function byWorker(
  prom: Prom,
  registry: Registry,
  type: 'Counter' | 'Gauge',
  name: string,
  help: string,
  values: () => readonly (readonly [worker: string, value: number])[],
): void {
  const configuration = { name, help, labelNames: ['worker'], registers: [registry] };
  if (type === 'Counter') {
    new prom.Counter({
      ...configuration,
      collect() {
        this.reset();
        for (const [worker, value] of values()) this.inc({ worker }, value);
      },
    });
    return;
  }
  new prom.Gauge({
    ...configuration,
    collect() {
      this.reset();
      for (const [worker, value] of values()) this.set({ worker }, value);
    },
  });
}
