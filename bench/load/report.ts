import { spawn } from 'node:child_process';
import { endWithBench } from '../processes.ts';

/** What one run of a load generator saw. */
export interface LoadReport {
  /** Requests, messages, connections or MB, as the scenario's unit says. */
  requests: number;
  /** How long the load lasted, in seconds. */
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  /** Everything that did not succeed. */
  errors: number;
}

/** Gives a member of a report that must be a number. Throws when it is none. */
export type ReadNumber = (name: string) => number;

/** Reads the line of JSON behind `REPORT`, with times in microseconds. Throws when it is missing or not whole. */
export function parseReport(program: string, output: string): ReadNumber {
  const line = /^REPORT (\{.*\})$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`${program} gave no report:\n${output.trim()}`);
  const report = JSON.parse(line) as Record<string, unknown>;
  return (name) => {
    const value = report[name];
    if (typeof value !== 'number') throw new Error(`${program}'s report lacks ${name}: ${line}`);
    return value;
  };
}

/** The part of a report that all generators have, but for the errors. */
export function readTimes(number: ReadNumber): Omit<LoadReport, 'errors'> {
  return {
    requests: number('requests'),
    seconds: number('micros') / 1e6,
    p50Ms: number('p50') / 1e3,
    p99Ms: number('p99') / 1e3,
    p999Ms: number('p999') / 1e3,
  };
}

/** Runs a load generator on the core of the bench to its end; gives all that it printed. Rejects when it fails. */
export function runGenerator(command: string, args: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = { ...process.env, GOMAXPROCS: '1' };
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
  endWithBench(child);
  let output = '';
  const take = (text: string) => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  child.on('error', reject);
  child.on('close', (code) => {
    if (code === 0) resolve(output);
    else reject(new Error(`${command} ended with ${code}: ${output.trim()}`));
  });
  return promise;
}
