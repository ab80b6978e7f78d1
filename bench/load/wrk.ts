import { fileURLToPath } from 'node:url';
import type { Load } from './generator.ts';
import { type LoadReport, parseReport, readTimes, runGenerator } from './report.ts';

const script = fileURLToPath(new URL('report.lua', import.meta.url));

/** Reads the line that `report.lua` prints at the end. Throws when it is missing or not as expected. */
export function parseWrkOutput(output: string): LoadReport {
  const number = parseReport('wrk', output);
  const times = readTimes(number);
  const errors = ['connect', 'read', 'write', 'timeout', 'status'].map(number);
  return { ...times, errors: errors.reduce((sum, count) => sum + count, 0) };
}

/** Runs wrk, a closed loop on one thread, on the core of the bench. Rejects when wrk fails. */
export async function runWrk({ port, scenario, seconds }: Load): Promise<LoadReport> {
  const { connections, host, path, requestBytes } = scenario;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency'];
  args.push('-s', script, '-H', `Host: ${host}`, `http://127.0.0.1:${port}${path}`);
  return parseWrkOutput(await runGenerator('wrk', [...args, '--', String(requestBytes)]));
}
