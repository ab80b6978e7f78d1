import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { type MeshPair, meshPair, type PairOptions } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { connectEcho } from './connect.ts';
import { type EchoServer, startEchoServer } from './echo-server.ts';

/** Ways to the echo server: past the caller's sidecar or a gateway, then by mTLS past the server's sidecar. */
const WAYS = ['outbound', 'gateway'] as const;
type Way = (typeof WAYS)[number];

interface Echo {
  readonly server: EchoServer;
  readonly mesh: MeshPair;
  readonly address: string;
}

async function echo(context: TestContext, way: Way, options: PairOptions = {}): Promise<Echo> {
  const server = await startEchoServer(context);
  const called = { name: 'echo', application: server.address };
  const mesh = await meshPair(context, called, { gateway: way === 'gateway', ...options });
  return { server, mesh, address: mesh[way] };
}

for (const way of WAYS) {
  test(`${way}: text stays text and binary stays binary, empty and large ones too`, async (context) => {
    const { address } = await echo(context, way);
    const { socket, message } = await connectEcho(context, address);
    const large = randomBytes(3_000_000);
    for (const sent of ['', 'grüße ☺', '0'.repeat(70_000), Buffer.alloc(0), randomBytes(125), large]) {
      const came = message();
      socket.send(sent);
      const { data, binary } = await came;
      assert.equal(binary, typeof sent !== 'string');
      assert.ok(data.equals(Buffer.from(sent)), `${data.length} bytes came of ${sent.length}`);
    }
  });

  test(`${way}: fragments, pings and pongs pass`, async (context) => {
    const { address } = await echo(context, way);
    const { socket, message } = await connectEcho(context, address);
    const ponged = once(socket, 'pong');
    socket.send('one ', { fin: false });
    socket.ping('in between');
    const came = message();
    socket.send('message', { fin: true });
    assert.equal((await came).data.toString(), 'one message');
    assert.equal(String((await ponged)[0]), 'in between');
  });

  test(`${way}: permessage-deflate and a subprotocol are agreed on end to end`, async (context) => {
    const { address } = await echo(context, way);
    const { socket, message } = await connectEcho(context, address, {
      perMessageDeflate: { threshold: 0 },
      protocols: ['v1.echo', 'v2.echo'],
    });
    assert.match(socket.extensions, /permessage-deflate/);
    assert.equal(socket.protocol, 'v2.echo');
    for (let round = 0; round < 3; round++) {
      const came = message();
      socket.send('squeeze '.repeat(10_000));
      assert.equal((await came).data.length, 80_000);
    }
  });

  test(`${way}: close codes and reasons pass both ways`, async (context) => {
    const { address, server } = await echo(context, way);
    const leaving = await connectEcho(context, address);
    leaving.socket.close(4001, 'the client is done');
    assert.equal(await leaving.closed, '4001 the client is done');
    await until('the close at the server', () => server.closed.length === 1);
    assert.deepEqual(server.closed, ['4001 the client is done']);
    const sentAway = await connectEcho(context, address);
    server.connections.at(-1)?.close(1008, 'the server has rules');
    assert.equal(await sentAway.closed, '1008 the server has rules');
  });

  test(`${way}: a refusal of the server reaches the client as it is, and the next upgrade is served`, async (context) => {
    const { address } = await echo(context, way);
    await assert.rejects(
      connectEcho(context, address, { path: '/refused' }),
      /Unexpected server response: 403/,
    );
    const { socket, message } = await connectEcho(context, address);
    const came = message();
    socket.send('in');
    assert.equal((await came).data.toString(), 'in');
  });

  test(`${way}: a client that vanishes takes its upstream with it, and the reverse`, async (context) => {
    const { address, server } = await echo(context, way);
    const vanishing = await connectEcho(context, address);
    vanishing.socket.terminate();
    await until('the end at the server', () => server.closed.length === 1);
    assert.deepEqual(server.closed, ['1006']);
    const abandoned = await connectEcho(context, address);
    server.connections.at(-1)?.terminate();
    assert.equal(await abandoned.closed, '1006');
  });

  test(`${way}: a silence longer than the idle timeout cuts nothing`, async (context) => {
    const limits = { limits: { idleMs: 200 } };
    const { address, mesh } = await echo(context, way, { outbound: limits, inbound: limits });
    const { socket, message } = await connectEcho(context, address);
    // Plain connections without a request, opened later, show that the time is over at both proxies.
    for (const listener of [address, mesh.inbound]) {
      const idle = await rawClient(listener);
      idle.send('GET / HTTP/1.1\r\nHost: echo.shop\r\n\r\n');
      await idle.expect('no websocket here');
      await idle.untilEnd();
      idle.close();
    }
    const came = message();
    socket.send('still there?');
    assert.equal((await came).data.toString(), 'still there?');
  });

  test(`${way}: a drain tells 1001 to both sides where it stands between two messages`, async (context) => {
    const { address, mesh, server } = await echo(context, way);
    const { socket, message, closed } = await connectEcho(context, address);
    const came = message();
    socket.send('before');
    await came;
    const drained = way === 'gateway' ? mesh.drainGateway() : mesh.drainCaller();
    assert.match(await closed, /^1001\b/);
    await until('the close at the server', () => server.closed.length === 1);
    assert.match(server.closed[0] ?? '', /^1001\b/);
    await drained;
  });
}

test("a drain of the server's sidecar tells 1001 too", async (context) => {
  const { address, mesh, server } = await echo(context, 'outbound');
  const { closed } = await connectEcho(context, address);
  const drained = mesh.drainService();
  assert.match(await closed, /^1001\b/);
  await until('the close at the server', () => server.closed.length === 1);
  assert.match(server.closed[0] ?? '', /^1001\b/);
  await drained;
});

test('many WebSockets at once do not mix', async (context) => {
  const { address } = await echo(context, 'outbound');
  const opened = await Promise.all(Array.from({ length: 50 }, () => connectEcho(context, address)));
  const answers = opened.map(async ({ socket, message }, index) => {
    const came = message();
    socket.send(`number ${index}`);
    return (await came).data.toString();
  });
  assert.deepEqual(
    await Promise.all(answers),
    opened.map((_, index) => `number ${index}`),
  );
});
