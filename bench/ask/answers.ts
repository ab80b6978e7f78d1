import type { Protocol } from '../proxies/peer.ts';
import { askHttp1, type Question } from './http1.ts';
import { askHttp2, callGrpc } from './http2.ts';
import { askEcho, askWebSocket } from './stream.ts';

/** A question, and how long the right answer is; what is no request has no length. */
export interface Expectation extends Question {
  responseBytes: number;
}

/**
 * Asks by a protocol, as the load will, and rejects unless the answer is right: a figure for wrong answers would be
 * worth nothing.
 */
export async function checkAnswer(protocol: Protocol, expected: Expectation): Promise<void> {
  if (protocol === 'tcp') return askEcho(expected.port);
  if (protocol === 'websocket') return askWebSocket(expected.port, expected.host);
  if (protocol === 'grpc') return callGrpc(expected.port, expected.host);
  const { status, bytes } = await (protocol === 'http2' ? askHttp2 : askHttp1)(expected);
  if (status !== 200 || bytes !== expected.responseBytes) {
    throw new Error(`answered ${status} with ${bytes} bytes instead of ${expected.responseBytes}`);
  }
}
