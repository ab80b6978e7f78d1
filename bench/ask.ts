import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { host } from './scenarios.ts';

/** What came back. */
export interface Answer {
  status: number;
  bytes: number;
}

/** Sends one request on a connection of its own, and reads the whole answer. Rejects after 2 s, or when nobody listens. */
export function ask(port: number, path: string, bodyBytes = 0): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const method = bodyBytes > 0 ? 'POST' : 'GET';
  const outgoing = request(
    { host: '127.0.0.1', port, path, method, agent: false, headers: { host } },
    (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes }));
      response.on('error', reject);
    },
  );
  outgoing.setTimeout(2000, () => outgoing.destroy(new Error('no answer in 2 s')));
  outgoing.on('error', reject);
  outgoing.end(bodyBytes > 0 ? Buffer.alloc(bodyBytes, 'x') : undefined);
  return promise;
}

async function until(
  attempt: () => Promise<string>,
  what: string,
  failure: () => string | undefined,
): Promise<void> {
  const end = Date.now() + 15_000;
  let last = '';
  while (Date.now() < end) {
    const failed = failure();
    if (failed !== undefined) throw new Error(failed);
    last = await attempt().catch((error: Error) => error.message);
    if (last === '') return;
    await sleep(1);
  }
  throw new Error(`${what} within 15 s, at last: ${last}`);
}

/**
 * Asks again and again until the answer is a 200. Rejects after 15 s, or as soon as `failure` tells that a
 * program ended.
 */
export function untilAnswered(port: number, path: string, failure: () => string | undefined): Promise<void> {
  const attempt = async () => {
    const { status } = await ask(port, path);
    return status === 200 ? '' : `status ${status}`;
  };
  return until(attempt, `port ${port} gave no 200`, failure);
}

/** Connects again and again until somebody accepts. Rejects as `untilAnswered` does. */
export function untilAccepting(port: number, failure: () => string | undefined): Promise<void> {
  const attempt = () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = connect(port, '127.0.0.1', () => resolve(''));
    socket.on('error', reject);
    return promise.finally(() => socket.destroy());
  };
  return until(attempt, `port ${port} did not accept`, failure);
}
