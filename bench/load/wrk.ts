import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endWithBench } from '../processes.ts';

/** What one run of wrk saw. */
export interface LoadReport {
  requests: number;
  /** How long the load lasted, in seconds. */
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  /** Failed connections, reads, writes, time-outs, and answers of status 400 or more. */
  errors: number;
}

/** What wrk is to send. */
export interface Load {
  url: string;
  host: string;
  connections: number;
  seconds: number;
  /** Length of the request's body; 0 sends a GET. */
  bodyBytes: number;
}

const script = fileURLToPath(new URL('report.lua', import.meta.url));

/** Reads the line that `report.lua` prints at the end. Throws when it is missing or not as expected. */
export function parseWrkOutput(output: string): LoadReport {
  const line = /^REPORT (\{.*\})$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk gave no report:\n${output.trim()}`);
  const report = JSON.parse(line) as Record<string, unknown>;
  const number = (name: string): number => {
    const value = report[name];
    if (typeof value !== 'number') throw new Error(`wrk's report lacks ${name}: ${line}`);
    return value;
  };
  return {
    requests: number('requests'),
    seconds: number('micros') / 1e6,
    p50Ms: number('p50') / 1e3,
    p99Ms: number('p99') / 1e3,
    p999Ms: number('p999') / 1e3,
    errors: number('connect') + number('read') + number('write') + number('timeout') + number('status'),
  };
}

/** Runs wrk, a closed loop on one thread, on the core of the bench. Rejects when wrk fails. */
export function runWrk(load: Load): Promise<LoadReport> {
  const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '10s', '--latency'];
  args.push('-s', script, '-H', `Host: ${load.host}`, load.url, '--', String(load.bodyBytes));
  const { promise, resolve, reject } = Promise.withResolvers<LoadReport>();
  const wrk = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  endWithBench(wrk);
  let output = '';
  wrk.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  wrk.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  wrk.on('error', reject);
  wrk.on('close', (code) => {
    if (code !== 0) return reject(new Error(`wrk ended with ${code}: ${output.trim()}`));
    try {
      resolve(parseWrkOutput(output));
    } catch (error) {
      reject(error);
    }
  });
  return promise;
}
