import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';

/** What one process uses. */
export interface ProcessNumbers {
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** Seconds since 1970. */
  readonly startSeconds: number;
  readonly residentBytes: number;
  readonly heapTotalBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  /** Of the event loop since the last reading. */
  readonly lagMeanSeconds: number;
  readonly lagP99Seconds: number;
}

const PRECISION_MS = 100;
let lag: ReturnType<typeof monitorEventLoopDelay> | undefined;

/** Reads what this process uses. The event loop is watched from the first reading on: nobody else pays for it. */
export function processNumbers(): ProcessNumbers {
  if (lag === undefined) {
    lag = monitorEventLoopDelay({ resolution: PRECISION_MS });
    lag.enable();
  }
  const { user, system } = process.cpuUsage();
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  const numbers = {
    cpuUserSeconds: user / 1e6,
    cpuSystemSeconds: system / 1e6,
    startSeconds: Date.now() / 1000 - process.uptime(),
    residentBytes: rss,
    heapTotalBytes: heapTotal,
    heapUsedBytes: heapUsed,
    externalBytes: external,
    // What is measured includes the pause between two looks; before the first there is no mean.
    lagMeanSeconds: Number.isNaN(lag.mean) ? 0 : Math.max(0, lag.mean / 1e9 - PRECISION_MS / 1000),
    lagP99Seconds: Number.isNaN(lag.mean) ? 0 : Math.max(0, lag.percentile(99) / 1e9 - PRECISION_MS / 1000),
  };
  lag.reset();
  return numbers;
}
