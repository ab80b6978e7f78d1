import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { freePort } from '../test/fixture/free-port.ts';
import { sidecarWaitCommand } from './sidecar-wait.ts';

/** A sidecar that is ready when it was asked so often. */
async function sidecar(t: TestContext, readyAt: number) {
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    const isReady = request.url === '/readyz' && asked >= readyAt;
    response.writeHead(isReady ? 200 : 503).end(isReady ? 'ok' : 'no certificate yet\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { health: String((server.address() as AddressInfo).port), asked: () => asked };
}

test('it waits until the sidecar is ready', async (t) => {
  const { health, asked } = await sidecar(t, 3);
  await sidecarWaitCommand({ health, limit: '1m' });
  assert.equal(asked(), 3);
});

test("after the limit it fails with the sidecar's own reason", async (t) => {
  const { health } = await sidecar(t, Number.POSITIVE_INFINITY);
  await assert.rejects(sidecarWaitCommand({ health, limit: '1ms' }), {
    message: 'the sidecar was not ready within 1ms: 503 no certificate yet',
  });
});

test('a sidecar that does not listen is told so', async () => {
  const health = String(await freePort());
  await assert.rejects(
    sidecarWaitCommand({ health, limit: '1ms' }),
    /was not ready within 1ms: connect ECONNREFUSED/,
  );
});

test('flags that mean nothing are told', async () => {
  await assert.rejects(sidecarWaitCommand({ health: '0', limit: '1s' }), /--health "0" is not a count/);
  await assert.rejects(
    sidecarWaitCommand({ health: '1', limit: 'soon' }),
    /--limit "soon" is not a duration/,
  );
});
