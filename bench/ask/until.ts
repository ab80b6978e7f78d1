import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a program that ended said, if one did. */
export type Failure = () => string | undefined;

/**
 * Tries again and again until an attempt does not reject. Rejects after 15 s, or as soon as `failure` tells that a
 * program ended.
 */
export async function until(attempt: () => Promise<void>, what: string, failure: Failure): Promise<void> {
  const end = Date.now() + 15_000;
  let last = '';
  while (Date.now() < end) {
    const failed = failure();
    if (failed !== undefined) throw new Error(failed);
    last = await attempt().then(
      () => '',
      (error: Error) => error.message,
    );
    if (last === '') return;
    await sleep(1);
  }
  throw new Error(`${what} within 15 s, at last: ${last}`);
}

/** Connects again and again until somebody accepts. Rejects as `until` does. */
export function untilAccepting(port: number, failure: Failure): Promise<void> {
  const attempt = () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect(port, '127.0.0.1', resolve);
    socket.on('error', reject);
    return promise.finally(() => socket.destroy());
  };
  return until(attempt, `port ${port} did not accept`, failure);
}
