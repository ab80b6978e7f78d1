import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Ask, callerBy, type Protocol, type Result } from './fixture/ailing-endpoints.ts';
import { temporaryDir, writeMesh } from './fixture/relay.ts';
import { startTulle } from './fixture/tulle.ts';
import { until } from './fixture/wait.ts';
import { answerOk, rawGrpcServer } from './grpc/raw-server.ts';
import { startHttp2 } from './http2/server.ts';

const LIMIT = { timeout: 120_000 };

/** An application that answers nobody until it is told to. */
interface Holding {
  readonly address: string;
  /** Requests (of opaque streams: connections) that wait for their answer. */
  readonly held: (() => void)[];
}

async function holding(context: TestContext, protocol: Protocol): Promise<Holding> {
  const held: (() => void)[] = [];
  if (protocol === 'grpc') {
    const address = await rawGrpcServer(context, (stream) => held.push(() => answerOk(stream)));
    return { address, held };
  }
  if (protocol === 'http2') {
    const hold = (stream: ServerHttp2Stream) =>
      void held.push(() => stream.respond({ ':status': 200 }, { endStream: true }));
    return { address: (await startHttp2(context, hold)).address, held };
  }
  const server =
    protocol === 'tcp'
      ? createTcpServer((socket: Socket) => {
          socket.on('error', () => {});
          held.push(() => socket.end('well'));
        })
      : createServer((_request, response: ServerResponse) => void held.push(() => response.end()));
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return { address: `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`, held };
}

/** Callers of `app.shop`, through a sidecar in a process of its own with these limits. */
async function limited(
  context: TestContext,
  protocol: Protocol,
  limits: string,
  { callers = 1, flags = [] as readonly string[] } = {},
) {
  const application = await holding(context, protocol);
  const file = join(temporaryDir(context), 'mesh.yaml');
  const annotations = { 'tulle.dev/limits': limits };
  const endpoints = [application.address];
  writeMesh(file, {
    services: [{ name: 'app', namespace: 'shop', port: 7000, protocol, endpoints, annotations }],
  });
  const listens =
    protocol === 'tcp' ? ['--outbound-service', 'shop/app=127.0.0.1:0'] : ['--outbound', '127.0.0.1:0'];
  const { ready } = await startTulle(
    context,
    ...['sidecar', '--standalone', file, '--admin', '127.0.0.1:0', '--namespace', 'shop'],
    ...listens,
    ...flags,
  );
  const services = (ready as { outboundServices?: Record<string, string> }).outboundServices;
  const address = services?.['shop/app'] ?? ready.outbound ?? '';
  const asks: Ask[] = [];
  for (let i = 0; i < callers; i++) asks.push(await callerBy(context, protocol, address));
  return { application, asks };
}

/**
 * Asks `count` times at once, spread over callers; when `held` are at the application and `refused` were refused, all are answered.
 * The words of those that were not.
 */
async function flood(
  { application, asks }: Awaited<ReturnType<typeof limited>>,
  count: number,
  { held, refused: refusals = count - held }: { held: number; refused?: number },
): Promise<string[]> {
  const refused: Result[] = [];
  const all = Array.from({ length: count }, async (_, index) => {
    const result = await (asks[index % asks.length] as Ask)(); // below the length
    if (!result.ok) refused.push(result);
  });
  await until(
    `${held} held, ${refusals} refused`,
    () => application.held.length === held && refused.length === refusals,
  );
  let over = false;
  const done = Promise.all(all).then(() => {
    over = true;
  });
  await until('all answers', () => {
    for (const answer of application.held.splice(0)) answer();
    return over;
  });
  await done;
  return refused.map(({ words }) => words);
}

for (const [protocol, told] of [
  ['http', '503 pool-full'],
  ['http2', '503 pool-full'],
  ['grpc', '200 8 pool-full'],
] as const) {
  test(
    `${protocol}: of requests at once as many as the limit go on, others are refused`,
    LIMIT,
    async (context) => {
      const app = await limited(context, protocol, 'requests 3');
      for (let round = 0; round < 2; round++)
        assert.deepEqual(await flood(app, 5, { held: 3 }), [told, told], 'places come free again');
    },
  );
}

test('http: requests wait for a connection, as many as the limit says', LIMIT, async (context) => {
  const app = await limited(context, 'http', 'connections 1, pending 2');
  // Until its connection is there the first one waits as well.
  const first = (app.asks[0] as Ask)();
  await until('the only connection to be in use', () => app.application.held.length === 1);
  assert.deepEqual(await flood(app, 4, { held: 1, refused: 2 }), ['503 pool-full', '503 pool-full']);
  assert.equal((await first).ok, true);
});

for (const protocol of ['http2', 'grpc'] as const)
  test(`${protocol}: one connection carries many requests`, LIMIT, async (context) => {
    const app = await limited(context, protocol, 'connections 1');
    assert.deepEqual(await flood(app, 20, { held: 20 }), []);
  });

test('opaque: as many streams as connections, others are reset at once', LIMIT, async (context) => {
  const app = await limited(context, 'tcp', 'connections 2');
  for (let round = 0; round < 2; round++)
    assert.deepEqual(await flood(app, 4, { held: 2 }), ['reset', 'reset']);
});

test('workers share a limit: never more than that together', LIMIT, async (context) => {
  const app = await limited(context, 'http', 'requests 4', { flags: ['--workers', '2'] });
  const { application, asks } = app;
  const [ask] = asks as [Ask];
  const refused: string[] = [];
  const all = Array.from({ length: 24 }, async () => {
    const { ok, words } = await ask();
    if (!ok) refused.push(words);
  });
  // By which worker a connection is taken the kernel decides: with 24 of them, each gets some.
  await until('those above to be refused', () => application.held.length + refused.length === 24);
  const most = application.held.length;
  assert.ok(most >= 2 && most <= 4, String(most));
  for (const answer of application.held.splice(0)) answer();
  await Promise.all(all);
  assert.deepEqual([...new Set(refused)], ['503 pool-full']);
});
