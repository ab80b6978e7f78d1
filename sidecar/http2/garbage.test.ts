import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END_STREAM, PREFACE, SETTINGS } from './frame.ts';
import { frame, REQUEST } from './raw-peer.fixture.ts';
import { answering, served } from './served.fixture.ts';

const CONNECTIONS = 150;

/** Numbers that are the same in each run (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test('frames with random types, flags, streams and payloads, some of them damaged, break nothing', async (context) => {
  const server = await served(context, { react: answering('x'.repeat(3000)) });
  const next = numbers(7);
  for (let round = 0; round < CONNECTIONS; round++) {
    const peer = await server.silent();
    const parts = [Buffer.from(PREFACE), frame(SETTINGS, 0, 0)];
    for (let n = 0; n < 40; n++) {
      const id = next(4) === 0 ? next(12) : 2 * n + 1;
      if (next(3) > 0) parts.push(peer.head(id, REQUEST, next(2) * END_STREAM));
      const payload = Array.from({ length: next(3) * next(12) }, () => next(256));
      parts.push(frame(next(11), next(3) === 0 ? next(256) : 0, next(3) === 0 ? 0 : id, payload));
    }
    const bytes = Buffer.concat(parts);
    if (next(2) === 0) bytes[PREFACE.length + next(bytes.length - PREFACE.length)] = next(256);
    const connection = server.connections.at(-1);
    assert.ok(connection);
    for (let at = 0; at < bytes.length; ) {
      const step = 1 + next(200);
      connection.onBytes(bytes, at, Math.min(bytes.length, at + step));
      at += step;
    }
    peer.close();
    connection.transport.destroy();
  }
  // Each handler was told of its end once, and of nothing after it.
  for (const { events } of server.requests) {
    const ends = events.filter((event) => event === 'disconnected' || event.startsWith('aborted'));
    assert.ok(ends.length <= 1, events.join());
    if (ends.length === 1) assert.equal(events.at(-1), ends[0], events.join());
  }
  const fresh = await server.raw();
  fresh.send(fresh.head(1, REQUEST, END_STREAM));
  await fresh.expect(0, 1);
});
