import type { Scenario } from '../scenarios.ts';
import { runGrpcStream, runGrpcUnary } from './grpc.ts';
import { runH2load } from './h2load.ts';
import type { LoadReport } from './report.ts';
import { runConnect, runDrain, runWebSocket } from './stream.ts';
import { runWrk } from './wrk.ts';

/** What a generator is to do. */
export interface Load {
  port: number;
  scenario: Scenario;
  seconds: number;
  /** The bench's directory, for programs compiled once and for logs. */
  directory: string;
}

/** The load generators that saturate a proxy in a closed loop. */
export const generators = {
  wrk: runWrk,
  h2load: runH2load,
  'grpc-unary': runGrpcUnary,
  'grpc-stream': runGrpcStream,
  drain: runDrain,
  connect: runConnect,
  websocket: runWebSocket,
} as const satisfies Record<string, (load: Load) => Promise<LoadReport>>;

export type GeneratorName = keyof typeof generators;
