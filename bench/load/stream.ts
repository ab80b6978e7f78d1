import { compileC } from '../backend/compiled.ts';
import type { Load } from './generator.ts';
import { type LoadReport, parseReport, readTimes, runGenerator } from './report.ts';

async function run(mode: string, { port, scenario, seconds, directory }: Load): Promise<LoadReport> {
  const args = [mode, ...[port, scenario.connections, seconds].map(String)];
  const number = parseReport('stream', await runGenerator(compileC('load/stream.c', directory), args));
  return { ...readTimes(number), errors: number('errors') };
}

/** Takes bytes from the application as fast as they come; counts MB (10^6), and times nothing. */
export function runDrain(load: Load): Promise<LoadReport> {
  return run('drain', load);
}

/** Connects, takes the echo of one byte, and closes, again and again. */
export function runConnect(load: Load): Promise<LoadReport> {
  return run('connect', load);
}

/** Echoes of 32 B by WebSocket, one message under way on each connection. */
export function runWebSocket(load: Load): Promise<LoadReport> {
  return run('websocket', load);
}
