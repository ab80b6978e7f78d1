import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { seeded } from './fixture/seeded.ts';
import { startSmallMesh } from './fixture/small-mesh.ts';
import { steadyLoad } from './fixture/steady-load.ts';
import { until } from './fixture/wait.ts';

const SEED = 20261124;
const ROUNDS = 40;
const HALF_OPEN = 60;

/** First bytes that lead each reader a little way in. */
const BEGINNINGS = [
  '',
  'GET / HTTP/1.1\r\nHost: orders\r\n',
  'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '\x16\x03\x01\xff\xff',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
];

function open(context: TestContext, address: string): Socket {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  return socket;
}

function garbage(random: () => number): Buffer {
  const beginning = BEGINNINGS[Math.floor(random() * BEGINNINGS.length)] ?? '';
  const rest = Buffer.from(
    Array.from({ length: Math.floor(random() * 2000) }, () => Math.floor(random() * 256)),
  );
  return Buffer.concat([Buffer.from(beginning, 'latin1'), rest]);
}

test('garbage and half-open connections at every port: no process ends, no request of others fails', async (context) => {
  const mesh = await startSmallMesh(context);
  const { web, orders, controlPlane } = mesh;
  const ports = [
    web.ready.outbound,
    web.ready.admin,
    orders.ready.inbound,
    orders.ready.admin,
    controlPlane.ready.address,
  ];
  const load = steadyLoad(web.ready.outbound ?? '', 'orders');
  const random = seeded(SEED);
  for (const address of ports) {
    for (let i = 0; i < HALF_OPEN; i++)
      open(context, address ?? '').write(BEGINNINGS[i % BEGINNINGS.length] ?? '', 'latin1');
  }
  for (let round = 0; round < ROUNDS; round++) {
    const sockets = ports.map((address) => {
      const socket = open(context, address ?? '');
      socket.end(garbage(random));
      socket.resume();
      return socket;
    });
    await until('the end of what made no sense', () => sockets.every(({ closed }) => closed));
  }
  const before = load.succeeded;
  await until('load as before', () => load.succeeded > before + 200);
  await load.stop();
  assert.deepEqual(load.failures, []);
  for (const { child, log } of [web, orders, controlPlane]) assert.equal(child.exitCode, null, log);
  for (const { ready } of [web, orders]) {
    assert.equal((await fetch(`http://${ready.admin}/readyz`)).status, 200);
  }
  mesh.writeEndpoints(orders.ready.inbound ?? '', '127.0.0.1:1');
  await until('the control plane to go on telling', async () => {
    return (await (await fetch(`http://${web.ready.admin}/config`)).text()).includes('127.0.0.1:1"');
  });
});
