import { createReadStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Load } from './generator.ts';
import { type LoadReport, runGenerator } from './report.ts';

/** What h2load prints at its end, as far as the bench needs it. */
export interface H2loadCounts {
  requests: number;
  seconds: number;
  errors: number;
}

const units: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 };

/** Reads h2load's text. Throws when it is not as expected: h2load ends with 0 also when nothing was answered. */
export function parseH2loadOutput(output: string): H2loadCounts {
  const finished = /^finished in ([\d.]+)(us|ms|s|m), /m.exec(output);
  const requests =
    /^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(
      output,
    );
  if (finished === null || requests === null) throw new Error(`h2load gave no report:\n${output.trim()}`);
  const [, succeeded, failed] = requests.map(Number);
  return {
    requests: succeeded ?? 0,
    seconds: Number(finished[1]) * (units[finished[2] ?? ''] ?? Number.NaN),
    errors: failed ?? 0, // Those that errored or timed out are among them.
  };
}

/** Reads a line of h2load's log: start, status, and the time until the answer's end in us. `undefined` for no 2xx. */
export function parseH2loadLine(line: string): number | undefined {
  const [, status = '', micros = ''] = line.split('\t');
  return status.startsWith('2') ? Number(micros) : undefined;
}

/** The value below which this share of a list lies. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function readTimesMs(file: string): Promise<Float64Array> {
  const times: number[] = [];
  for await (const line of createInterface(createReadStream(file))) {
    const micros = parseH2loadLine(line);
    if (micros !== undefined) times.push(micros / 1e3);
  }
  return Float64Array.from(times).sort();
}

/** Connections of h2load, and streams under way on each. */
export const h2loadShape = { connections: 4, streams: 16 } as const;

/**
 * Runs h2load by HTTP/2 with prior knowledge, a closed loop on one thread. Its log has every answer's time, since
 * its text has no percentiles. Rejects when it fails.
 */
export async function runH2load({ port, scenario, seconds, directory }: Load): Promise<LoadReport> {
  const log = join(directory, 'h2load.log');
  const { connections, streams } = h2loadShape;
  const args = ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, `--log-file=${log}`];
  args.push(`--connect-to=127.0.0.1:${port}`, `http://${scenario.host}${scenario.path}`);
  try {
    const { requests, seconds: length, errors } = parseH2loadOutput(await runGenerator('h2load', args));
    const times = await readTimesMs(log);
    return {
      requests,
      seconds: length,
      errors,
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
      p999Ms: percentile(times, 0.999),
    };
  } finally {
    rmSync(log, { force: true });
  }
}
