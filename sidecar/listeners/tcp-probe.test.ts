import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { tcpProber } from './tcp-probe.ts';

async function listening(context: TestContext): Promise<{ port: number; connections: Socket[] }> {
  const connections: Socket[] = [];
  const server = createServer((socket) => connections.push(socket.on('error', () => {}))).listen(
    0,
    '127.0.0.1',
  );
  context.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, connections };
}

/** A port that nobody listens at any more. */
async function deserted(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  server.close();
  return address.port;
}

test('an application that listens is connected to, and the connection is not kept', async (context) => {
  const { port, connections } = await listening(context);
  assert.deepEqual(await tcpProber({ host: '127.0.0.1', ports: [port] })(port), { connected: true });
  const [connection] = connections;
  assert.ok(connection !== undefined);
  connection.resume();
  await once(connection, 'close');
});

test('one that does not listen is told with the reason', async () => {
  const port = await deserted();
  assert.deepEqual(await tcpProber({ host: '127.0.0.1', ports: [port] })(port), {
    connected: false,
    why: `127.0.0.1 port ${port}: ECONNREFUSED`,
  });
});

test('one that does not answer is told after a second', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const sockets: Socket[] = [];
  const probe = tcpProber({ host: '10.0.0.9', ports: [80] }, () => {
    const silent = new Socket();
    sockets.push(silent);
    return silent;
  });
  const result = probe(80);
  context.mock.timers.tick(1000);
  assert.deepEqual(await result, { connected: false, why: '10.0.0.9 port 80: no answer within 1000 ms' });
  assert.equal(sockets[0]?.destroyed, true);
});

test('a stranger cannot scan with it: other ports are not connected to', async (context) => {
  const { port, connections } = await listening(context);
  assert.equal(tcpProber({ host: '127.0.0.1', ports: [port + 1] })(port), undefined);
  assert.equal(connections.length, 0);
});

test('however many ask at once, the application sees one connection; who asks later gets a new answer', async (context) => {
  const { port, connections } = await listening(context);
  const probe = tcpProber({ host: '127.0.0.1', ports: [port] });
  await Promise.all(Array.from({ length: 100 }, () => probe(port)));
  await probe(port);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(connections.length, 2);
});
