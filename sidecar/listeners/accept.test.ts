import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { answeringHost } from '../../test/fixture/answering-host.ts';
import { type RawClient, rawClient } from '../../test/fixture/client.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { Transport } from '../transport/transport.ts';
import { splitAddress } from '../upstream/connector.ts';
import { type Acceptor, accept, serveHttp1 } from './accept.ts';

/** An acceptor and the sockets that it took, gone with the test. */
async function accepting(
  context: TestContext,
  address = '127.0.0.1:0',
): Promise<Acceptor & { sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const acceptor = await accept(address, (socket) => sockets.push(socket));
  context.after(() => {
    acceptor.stop();
    for (const socket of sockets) socket.destroy();
  });
  return { ...acceptor, sockets };
}

async function clientOf(context: TestContext, address: string): Promise<RawClient> {
  const client = await rawClient(address);
  context.after(() => client.close());
  return client;
}

test('the port that the kernel chose is told', async (context) => {
  const { address, sockets } = await accepting(context);
  assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/);
  await clientOf(context, address);
  await until('the socket', () => sockets.length === 1);
});

// Only where this machine has IPv6.
if (networkInterfaces().lo?.some(({ address }) => address === '::1')) {
  test('an IPv6 address is read and told in brackets', async (context) => {
    const { address } = await accepting(context, '[::1]:0');
    assert.match(address, /^\[::1\]:[1-9]\d*$/);
  });
}

test('an address in use is named', async (context) => {
  const { address } = await accepting(context);
  await assert.rejects(accepting(context, address), { message: `cannot listen on ${address}: EADDRINUSE` });
});

test('an address of another machine is named', async (context) => {
  await assert.rejects(accepting(context, '192.0.2.1:0'), {
    message: 'cannot listen on 192.0.2.1:0: EADDRNOTAVAIL',
  });
});

for (const address of ['8080', ':8080', 'localhost', '127.0.0.1:65536', '127.0.0.1:http']) {
  test(`"${address}" is no address, and named`, async (context) => {
    await assert.rejects(accepting(context, address), {
      message: `"${address}" is not HOST:PORT, like 127.0.0.1:8080 or [::1]:8080`,
    });
  });
}

test('once stopped, nobody new is let in and who is there stays; stopping twice is fine', async (context) => {
  const acceptor = await accepting(context);
  const client = await clientOf(context, acceptor.address);
  await until('the socket', () => acceptor.sockets.length === 1);
  acceptor.stop();
  acceptor.stop();
  const late = connect(splitAddress(acceptor.address));
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  assert.equal(acceptor.sockets.length, 1);
  acceptor.sockets[0]?.write('still here');
  await client.expect('still here');
});

test('a caller who makes accepting fail again and again does not end the process', async (context) => {
  const { address, sockets } = await accepting(context);
  await clientOf(context, address);
  await until('the socket', () => sockets.length === 1);
  const { server } = sockets[0] as Socket & { server: Server };
  for (let i = 0; i < 3; i++) server.emit('error', new Error('accept EMFILE'));
  await clientOf(context, address);
  await until('another socket', () => sockets.length === 2);
});

test('what a client sends before anybody reads is served', async (context) => {
  const host = answeringHost();
  const { address, sockets } = await accepting(context);
  const client = await clientOf(context, address);
  client.send('GET /early HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the socket', () => sockets.length === 1);
  const [socket] = sockets;
  assert.ok(socket);
  const connection = serveHttp1(
    host,
    DEFAULT_LIMITS,
    (reader) => Transport.adopt(reader, socket),
    (relay) => {
      relay.exchange.peer = 't/told-before';
    },
  );
  context.after(() => connection.transport.destroy());
  await client.expect('path /early mtls false peer t/told-before');
});

test('several may listen on one address if each of them says so, and no other may', async (context) => {
  const accepted = [0, 0];
  const listen = (index: number, address: string) =>
    accept(
      address,
      (socket) => {
        accepted[index] = (accepted[index] ?? 0) + 1;
        socket.destroy();
      },
      true,
    );
  const first = await listen(0, '127.0.0.1:0');
  context.after(() => first.stop());
  const second = await listen(1, first.address);
  context.after(() => second.stop());
  assert.equal(second.address, first.address);
  await assert.rejects(accepting(context, first.address), /EADDRINUSE/);
  await until('connections at both', async () => {
    (await rawClient(first.address)).close();
    return accepted.every((count) => count > 0);
  });
});
