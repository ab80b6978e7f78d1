import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { relay } from '../fixture/relay.ts';
import { until } from '../fixture/wait.ts';
import { startHttp2 } from '../http2/server.ts';

const LIMIT = { timeout: 60_000 };
const REFUSED_STREAM = 7;

test(
  'a client that was stopped for an endpoint that refuses the request then goes on for the next one',
  LIMIT,
  async (context) => {
    const taken: number[] = [];
    const refusing = await startHttp2(
      context,
      (stream) => {
        let read = 0;
        stream.on('data', (bytes: Buffer) => {
          read += bytes.length;
          if (read >= 1000 && !stream.closed) stream.close(REFUSED_STREAM);
        });
      },
      { initialWindowSize: 1000 },
    );
    const taking = await startHttp2(
      context,
      (stream) => {
        const at = taken.push(0) - 1;
        stream.on('data', (bytes: Buffer) => {
          taken[at] = (taken[at] ?? 0) + bytes.length;
        });
        stream.on('end', () => stream.respond({ ':status': 204 }, { endStream: true }));
      },
      { initialWindowSize: 1024 * 1024 },
    );
    const endpoints = [refusing.address, taking.address];
    const annotations = { 'tulle.dev/balance': 'round-robin' };
    const { address } = await relay(context, {
      services: [{ name: 'app', namespace: 't', port: 80, protocol: 'http2', endpoints, annotations }],
    });
    const client = await rawClient(address);
    for (let request = 0; request < 3; request++) {
      const from = client.text.length;
      client.send('POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 40000\r\n\r\n');
      client.send('a'.repeat(20_000));
      await until('the first half', () => taken[request] === 20_000);
      client.send('b'.repeat(20_000));
      await client.expect('HTTP/1.1 204', from);
    }
    client.close();
    assert.deepEqual(taken, [40_000, 40_000, 40_000]);
  },
);
