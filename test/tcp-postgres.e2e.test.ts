import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Ran, runCommand } from './fixture/command.ts';
import { PASSWORD, startPostgres } from './fixture/postgres.ts';
import { metric, type TcpMesh, tcpMesh } from './fixture/tcp-mesh.ts';
import { until } from './fixture/wait.ts';

/** psql at an address. */
function psql(
  address: string,
  sql: string,
  {
    password = PASSWORD,
    sslmode = 'prefer',
    input = '',
    interrupt = undefined as AbortSignal | undefined,
  } = {},
): Promise<Ran> {
  const [host = '', port = ''] = address.split(':');
  const connection = `host=${host} port=${port} user=postgres dbname=postgres sslmode=${sslmode}`;
  const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', connection, '-c', sql];
  return runCommand('psql', args, { input, env: { PGPASSWORD: password }, ...(interrupt && { interrupt }) });
}

async function rows(...args: Parameters<typeof psql>): Promise<string> {
  const { code, out, err } = await psql(...args);
  assert.equal(code, 0, err);
  return out;
}

async function database(context: TestContext, options: Parameters<typeof tcpMesh>[2]): Promise<TcpMesh> {
  return tcpMesh(context, await startPostgres(context), options);
}

test('PostgreSQL through both sidecars: queries, large results, COPY, errors and cancel', async (context) => {
  const mesh = await database(context, {
    service: { port: 5432 },
    annotations: { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'web' },
  });
  const { address } = mesh;
  assert.equal(await rows(address, 'select 1 + 1'), '2\n');
  assert.equal(await rows(address, 'select 2', { sslmode: 'disable' }), '2\n');

  const large = await rows(address, "select repeat('x', 100) || i from generate_series(1, 100000) i");
  assert.equal(large.split('\n').length, 100_001);
  assert.ok(large.endsWith(`${'x'.repeat(100)}100000\n`));

  await rows(address, 'create table copied (i int, t text)');
  const input = Array.from({ length: 50_000 }, (_, i) => `${i}\tline ${i}\n`).join('');
  await rows(address, 'copy copied from stdin', { input });
  assert.equal(await rows(address, 'select count(*), sum(i) from copied'), '50000|1249975000\n');
  assert.equal(await rows(address, 'copy (select * from copied order by i) to stdout'), input);

  const wrong = await psql(address, 'select 1', { password: 'not it' });
  assert.match(wrong.err, /FATAL: {2}password authentication failed for user "postgres"/);
  const failed = await psql(address, 'select 1/0');
  assert.match(failed.err, /ERROR: {2}division by zero/);

  const edge = { request_protocol: 'tcp', destination_service_name: 'app' };
  assert.ok((await metric(mesh.outbound.admin, 'istio_tcp_sent_bytes_total', edge)) > large.length);
  assert.ok((await metric(mesh.inbound.admin, 'istio_tcp_received_bytes_total', edge)) > input.length);
  assert.equal(await metric(mesh.outbound.admin, 'tulle_detect_timeouts_total'), 0);
});

test('a query is cancelled by a second connection, as psql does at an interrupt', async (context) => {
  const { address } = await database(context, { service: { port: 5432 } });
  const interrupt = new AbortController();
  const slow = psql(address, 'select pg_sleep(600)', { interrupt: interrupt.signal });
  const running = "select pid from pg_stat_activity where query = 'select pg_sleep(600)'";
  await until('the slow query', async () => (await rows(address, running)) !== '');
  interrupt.abort();
  assert.match((await slow).err, /ERROR: {2}canceling statement due to user request/);
});

test('PostgreSQL by detection: its client speaks first, and is not taken for HTTP or TLS', async (context) => {
  const mesh = await database(context, { service: { port: 7000 } });
  assert.equal(await rows(mesh.address, 'select 3'), '3\n');
  const opaque = { listener: 'outbound', protocol: 'opaque' };
  assert.equal(await metric(mesh.outbound.admin, 'tulle_detected_protocols_total', opaque), 1);
  assert.equal(await metric(mesh.outbound.admin, 'tulle_detect_timeouts_total'), 0);
});

test('a server that greets first, as MySQL does, is reached by detection and by its port', async (context) => {
  const greeting = Buffer.from('4a0000000a382e302e333600', 'hex');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(greeting);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  const application = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  for (const [port, timeouts] of [
    [3306, 0],
    [7000, 1],
  ] as const) {
    const mesh = await tcpMesh(context, application, { service: { port }, outbound: { detectMs: 100 } });
    const [host = '', own] = mesh.address.split(':');
    const client = connect({ host, port: Number(own) });
    context.after(() => client.destroy());
    let got = Buffer.alloc(0);
    client.on('data', (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
    });
    await until('the greeting', () => got.equals(greeting));
    client.write('login');
    await until('the answer', () => got.toString('latin1').endsWith('login'));
    assert.equal(await metric(mesh.outbound.admin, 'tulle_detect_timeouts_total'), timeouts);
  }
});
