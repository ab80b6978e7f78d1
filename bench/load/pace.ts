import { compileC } from '../backend/compiled.ts';
import { type LoadReport, parseReport, readTimes, runGenerator } from './report.ts';

/** HTTP/1.1 at a constant rate. */
export interface PacedLoad {
  port: number;
  host: string;
  path: string;
  /** Requests a second. */
  rate: number;
  /** At most so many connections. */
  connections: number;
  /** So many requests may wait for a connection; more are given up. */
  waiting: number;
  seconds: number;
  /** Length of the request's body; 0 sends a GET. */
  bodyBytes: number;
  /** Keep connections, or make a new one for each request. */
  keep: boolean;
  /** Look after requests and answers only once in so many microseconds, which costs less of the load core. */
  tickMicros?: number;
}

/** `requests` are those answered by 2xx; times run from when a request was due. */
export interface PacedReport extends LoadReport {
  offered: number;
  /** Answers of 503. */
  unavailable: number;
  /** Given up, since every connection was busy. */
  unsent: number;
}

/** Reads what `pace.c` prints at its end. Throws when it is missing or not as expected. */
export function parsePaceOutput(output: string): PacedReport {
  const number = parseReport('pace', output);
  return {
    ...readTimes(number),
    errors: number('errors'),
    offered: number('offered'),
    unavailable: number('unavailable'),
    unsent: number('unsent'),
  };
}

/** Runs an open loop on the core of the bench; `directory` is the bench's. Rejects when it fails. */
export async function runPace(directory: string, load: PacedLoad): Promise<PacedReport> {
  const { port, host, path, rate, connections, waiting, seconds, bodyBytes, keep, tickMicros = 0 } = load;
  const numbers = [Math.round(rate), connections, waiting, seconds, bodyBytes, keep ? 1 : 0, tickMicros];
  const args = [String(port), host, path, ...numbers.map(String)];
  return parsePaceOutput(await runGenerator(compileC('load/pace.c', directory), args));
}
