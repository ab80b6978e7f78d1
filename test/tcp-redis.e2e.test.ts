import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawClient } from './fixture/client.ts';
import { runCommand } from './fixture/command.ts';
import { redisProcess } from './fixture/redis.ts';
import { metric, tcpMesh } from './fixture/tcp-mesh.ts';
import { until } from './fixture/wait.ts';

/** redis-cli at an address. */
async function redis(address: string, args: readonly string[], input = ''): Promise<string> {
  const [host = '', port = ''] = address.split(':');
  const { code, out, err } = await runCommand('redis-cli', ['-h', host, '-p', port, ...args], { input });
  assert.equal(code, 0, `${out}${err}`);
  return out;
}

for (const [how, service, strict] of [
  ['by its opaque port', { port: 6379 }, true],
  ['by detection', { port: 7000 }, false],
] as const) {
  test(`Redis through both sidecars, known ${how}`, async (context) => {
    const server = await redisProcess(context);
    const annotations: Record<string, string> = strict
      ? { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'web' }
      : {};
    const mesh = await tcpMesh(context, server.address, { service, annotations });
    assert.equal(await redis(mesh.address, ['PING']), 'PONG\n');
    assert.equal(await redis(mesh.address, ['SET', 'k', 'GET / HTTP/1.1']), 'OK\n');
    assert.equal(await redis(mesh.address, ['GET', 'k']), 'GET / HTTP/1.1\n');
    const pipeline = Array.from(
      { length: 20_000 },
      (_, i) => `SET key:${i} ${'v'.repeat(1 + (i % 100))}\n`,
    ).join('');
    assert.match(await redis(mesh.address, ['--pipe'], pipeline), /errors: 0, replies: 20000/);
    assert.equal(await redis(mesh.address, ['DBSIZE']), '20001\n');
    const large = 'x'.repeat(8 * 1024 * 1024);
    assert.equal(await redis(mesh.address, ['-x', 'SET', 'large'], large), 'OK\n');
    assert.equal(await redis(mesh.address, ['GET', 'large']), `${large}\n`);
    const wanted = {
      request_protocol: 'tcp',
      source_workload: 'web',
      connection_security_policy: 'mutual_tls',
    };
    assert.ok((await metric(mesh.inbound.admin, 'istio_tcp_received_bytes_total', wanted)) > large.length);
    assert.equal(await metric(mesh.outbound.admin, 'tulle_detect_timeouts_total'), 0);
    assert.equal(await metric(mesh.outbound.admin, 'istio_requests_total'), 0);
  });
}

test('a subscriber of Redis gets what is published later, and inline commands are no HTTP', async (context) => {
  const server = await redisProcess(context);
  const mesh = await tcpMesh(context, server.address);
  const subscriber = await rawClient(mesh.address);
  context.after(() => subscriber.close());
  subscriber.send('SUBSCRIBE news\r\n');
  await subscriber.expect(':1\r\n');
  assert.equal(await redis(mesh.address, ['PUBLISH', 'news', 'hello']), '1\n');
  await subscriber.expect('hello\r\n');
});

test('a Redis that is killed: its clients are cut off, new ones reset, and the reason is counted', async (context) => {
  const server = await redisProcess(context);
  const mesh = await tcpMesh(context, server.address);
  const client = await rawClient(mesh.address);
  context.after(() => client.close());
  client.send('PING\r\n');
  await client.expect('+PONG');
  server.child.kill('SIGKILL');
  await until('the end', () => client.ended);
  client.socket.end();
  await until('the connection to be over', async () => {
    return (await metric(mesh.outbound.admin, 'istio_tcp_connections_closed_total')) === 1;
  });
  const [host = '', port = ''] = mesh.address.split(':');
  const refused = await runCommand('redis-cli', ['-h', host, '-p', port, 'PING']);
  assert.notEqual(refused.code, 0, refused.out);
  assert.ok(
    (await metric(mesh.inbound.admin, 'tulle_tcp_failures_total', { reason: 'connect-failed' })) >= 1,
  );
});

test('a client that sends garbage harms only itself', async (context) => {
  const server = await redisProcess(context);
  const mesh = await tcpMesh(context, server.address);
  for (const text of [
    '\u0000\u00ff\u0001',
    '*99999999999\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    '\u0016\u0003\u0001\u0000',
  ]) {
    const client = await rawClient(mesh.address);
    client.send(text);
    client.socket.end();
    await until('the end', () => client.ended);
    client.close();
  }
  assert.equal(await redis(mesh.address, ['PING']), 'PONG\n');
});
