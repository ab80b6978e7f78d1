import { compileGrpc } from '../backend/compiled.ts';
import type { Load } from './generator.ts';
import { h2loadShape } from './h2load.ts';
import { type LoadReport, parseReport, readTimes, runGenerator } from './report.ts';

async function run(mode: 'unary' | 'stream', { port, scenario, seconds, directory }: Load) {
  const { connections, streams } = h2loadShape;
  const target = [`127.0.0.1:${port}`, scenario.host];
  const size = [connections, streams, seconds].map(String);
  const output = await runGenerator(compileGrpc(directory), [mode, ...target, ...size]);
  const number = parseReport('the gRPC load', output);
  const report: LoadReport = { ...readTimes(number), errors: number('errors') };
  if (report.requests === 0) throw new Error(`no gRPC call succeeded: ${output.trim()}`);
  return report;
}

/** Unary calls of 100 B, a closed loop, as many under way as h2load has. Rejects when none succeeds. */
export function runGrpcUnary(load: Load): Promise<LoadReport> {
  return run('unary', load);
}

/** Messages of 100 B to and fro, one under way on each bidirectional stream. Rejects when none comes back. */
export function runGrpcStream(load: Load): Promise<LoadReport> {
  return run('stream', load);
}
