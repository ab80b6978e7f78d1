import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { edgeMesh, type TwoWays, trafficPolicy, twoWays } from './fixture/two-ways.ts';
import { until } from './fixture/wait.ts';

/** An application by one protocol, that answers with its name. */
interface Application {
  readonly name: string;
  readonly address: string;
  requests: number;
  connections: number;
  /** What it answers instead of its name. */
  busy: boolean;
  /** Requests are answered only when this is over. */
  held: Promise<void> | undefined;
  /** Breaks its connections. */
  drop(): void;
  stop(): void;
}

async function listening(
  context: TestContext,
  name: string,
  server: Server,
  on: (application: Application) => void,
): Promise<Application> {
  const sockets = new Set<Socket>();
  const application: Application = {
    name,
    address: '',
    requests: 0,
    connections: 0,
    busy: false,
    held: undefined,
    drop() {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    stop() {
      server.close();
      application.drop();
    },
  };
  server.on('connection', (socket: Socket) => {
    application.connections++;
    sockets.add(socket);
    socket.on('error', () => {});
  });
  on(application);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => application.stop());
  const bound = server.address();
  return Object.assign(application, {
    address: `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
  });
}

function http1(context: TestContext, name: string): Promise<Application> {
  const server = createHttp1Server();
  return listening(context, name, server, (application) =>
    server.on('request', async (_request, response) => {
      application.requests++;
      await application.held;
      response.writeHead(application.busy ? 429 : 200, application.busy ? { 'retry-after': '60' } : {});
      response.end(name);
    }),
  );
}

function grpc(context: TestContext, name: string): Promise<Application> {
  const server = createHttp2Server();
  return listening(context, name, server as unknown as Server, (application) =>
    server.on('stream', async (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      application.requests++;
      await application.held;
      const { busy } = application;
      const told = {
        'content-type': 'application/grpc',
        'grpc-message': name,
        'grpc-status': busy ? '8' : '0',
      };
      stream.respond({ ':status': 200, ...told, ...(busy && { 'retry-after': '60' }) }, { endStream: true });
    }),
  );
}

const NAMES = ['a', 'b', 'c', 'd'];

interface Applications {
  readonly http: readonly Application[];
  readonly grpc: readonly Application[];
  readonly all: readonly Application[];
}

async function applications(context: TestContext): Promise<Applications> {
  const http = await Promise.all(NAMES.map((name) => http1(context, name)));
  const calls = await Promise.all(NAMES.map((name) => grpc(context, name)));
  return { http, grpc: calls, all: [...http, ...calls] };
}

/** Whose endpoints these are in the mesh file. */
type Described = (application: Application) => string | object;

/**
 * A service for each of `balances`, by HTTP as `hN.t` and by gRPC as `gN.t`; every other one is told by a
 * TrafficPolicy instead of an annotation.
 */
function meshOf(
  { http, grpc: calls }: Applications,
  balances: readonly string[],
  described: Described = ({ address }) => address,
  annotations: Record<string, string> = {},
): object {
  const services: Record<string, object> = {};
  const policies: object[] = [];
  for (const [index, balance] of balances.entries()) {
    for (const [name, protocol, endpoints] of [
      [`h${index}`, 'http', http],
      [`g${index}`, 'grpc', calls],
    ] as const) {
      const own = index % 2 === 0 ? { 'tulle.dev/balance': balance } : {};
      services[name] = {
        protocol,
        endpoints: endpoints.map(described),
        annotations: { ...annotations, ...own },
      };
      if (index % 2 === 1) policies.push(trafficPolicy(name, { kind: 'Service', name }, { balance }));
    }
  }
  const routes = Object.keys(services).map((name) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 't' },
    spec: {
      parentRefs: [{ kind: 'Gateway', name: 'edge' }],
      hostnames: [`${name}.t`],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  }));
  return edgeMesh(services, { policies, routes });
}

interface Asker {
  readonly name: string;
  /** Who answers a request to the service of `balances[index]`. */
  ask(index: number, headers?: Record<string, string>): Promise<string>;
}

/** HTTP/1.1, HTTP/2 and gRPC, through the outbound listener and the gateway. */
function askers({ ways, call }: TwoWays): Asker[] {
  return [
    ...ways.map(({ name, ask }) => ({
      name,
      ask: async (index: number, headers: Record<string, string> = {}) => {
        const host = `h${index}.t`;
        const named = name.startsWith('HTTP/2') ? { ':authority': host } : { host };
        return (await ask('/', { ...named, ...headers })).body;
      },
    })),
    grpcAsker(call),
  ];
}

/** A call goes through both listeners: the second answer is that to the next question. */
function grpcAsker(call: TwoWays['call']): Asker {
  const left = new Map<string, string>();
  return {
    name: 'gRPC',
    async ask(index, headers = {}) {
      const question = JSON.stringify([index, headers]);
      const kept = left.get(question);
      left.delete(question);
      if (kept !== undefined) return kept;
      const [one, two] = await call('/t.T/Get', { ':authority': `g${index}.t`, ...headers });
      left.set(question, two?.[1] ?? '');
      return one?.[1] ?? '';
    },
  };
}

async function whoAnswers({ ask }: Asker, index: number, times: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    const who = await ask(index);
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  return counts;
}

const STRATEGIES = [
  'p2c-ewma',
  'least-request',
  'round-robin',
  'random',
  'ring-hash header:x',
  'maglev header:x',
];

test('each strategy uses all endpoints, by HTTP/1.1, HTTP/2 and gRPC', async (context) => {
  const sidecar = await twoWays(context, meshOf(await applications(context), STRATEGIES));
  for (const asker of askers(sidecar)) {
    for (const [index, strategy] of STRATEGIES.entries()) {
      const counts = await whoAnswers(asker, index, 60);
      // That chance leaves one out of 60 times has a chance below 10^-6. A busy machine makes one slow for p2c-ewma.
      const used = [...counts.keys()].sort();
      if (index > 0) assert.deepEqual(used, NAMES, `${strategy} by ${asker.name}`);
      else assert.ok(used.length > 1, `${strategy} by ${asker.name}: ${used}`);
    }
    assert.deepEqual([...(await whoAnswers(asker, 2, 80)).values()], [20, 20, 20, 20], asker.name);
  }
});

const token = (sub: string) =>
  `Bearer e30.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.c2ln`;

test('a key by header, cookie, claim or source has one endpoint, whatever the protocol and listener', async (context) => {
  const balances = [
    'ring-hash header:x-user',
    'maglev header:x-user',
    'ring-hash cookie:sid',
    'maglev cookie:sid',
    'ring-hash claim:sub, bounded 300%',
    'maglev claim:sub',
    'ring-hash source',
    'maglev source, bounded 300%',
  ];
  const headersOf = (index: number, user: string): Record<string, string> => {
    if (index < 2) return { 'x-user': user };
    if (index < 4) return { cookie: `a=b; sid=${user}` };
    return index < 6 ? { authorization: token(user) } : {};
  };
  const all = askers(await twoWays(context, meshOf(await applications(context), balances)));
  for (const [index, balance] of balances.entries()) {
    for (const protocol of ['HTTP', 'gRPC']) {
      const same = all.filter(({ name }) => name.startsWith(protocol));
      const owners = new Set<string>();
      for (let user = 0; user < 15; user++) {
        const got = new Set<string>();
        for (const { ask } of same) got.add(await ask(index, headersOf(index, `user-${user}`)));
        assert.equal(got.size, 1, `${balance} by ${protocol}: ${[...got]}`);
        owners.add([...got][0] ?? '');
      }
      if (index < 6) assert.ok(owners.size > 1, balance);
      else assert.equal(owners.size, 1, 'all come from here');
    }
  }
});

/** What an endpoint gets of one hot key of which 24 requests are in flight, when there are 4: N % of 6, rounded up. */
const BOUNDS: readonly (readonly [bounded: string, most: number])[] = [
  ['', 8],
  [', bounded 101%', 7],
  [', bounded 200%', 12],
  [', bounded 1000%', 24],
];

test('of one hot key no endpoint has more in flight than its bounded share, and that it has', async (context) => {
  const apps = await applications(context);
  const bounds = BOUNDS.flatMap(([bounded, most]) =>
    ['ring-hash', 'maglev'].map((strategy) => ({ balance: `${strategy} header:x${bounded}`, most })),
  );
  const balances = bounds.map(({ balance }) => balance);
  const all = askers(await twoWays(context, meshOf(apps, balances)));
  for (const { name, ask } of all) {
    for (const [index, { balance, most }] of bounds.entries()) {
      const released = Promise.withResolvers<void>();
      for (const one of apps.all) {
        one.requests = 0;
        one.held = released.promise;
      }
      // A gRPC call goes through both listeners.
      const asked = name === 'gRPC' ? 12 : 24;
      const answers = Array.from({ length: asked }, () => ask(index, { x: 'hot' }));
      const counts = () => (name === 'gRPC' ? apps.grpc : apps.http).map(({ requests }) => requests);
      await until('all of them', () => counts().reduce((sum, count) => sum + count, 0) === 24);
      assert.equal(Math.max(...counts()), most, `${balance} by ${name}: ${counts()}`);
      released.resolve();
      await Promise.all(answers);
    }
  }
});

test('a new endpoint starts slowly', async (context) => {
  const apps = await applications(context);
  const balances = ['p2c-ewma, slow-start 1h', 'random, slow-start 1h'];
  const without = ({ name, address }: Application) => ({ address, ready: name !== 'd' });
  const sidecar = await twoWays(context, meshOf(apps, balances, without));
  const all = askers(sidecar);
  for (const asker of all)
    for (const index of balances.keys())
      assert.ok(!(await whoAnswers(asker, index, 20)).has('d'), asker.name);
  sidecar.write(meshOf(apps, balances));
  const known = async (name: string): Promise<boolean> => {
    const config = await (await fetch(`http://${sidecar.admin}/config`)).text();
    const { services } = JSON.parse(config) as { services: { key: string; endpoints?: unknown[] }[] };
    return services.some(({ key, endpoints }) => key.startsWith(`t/${name}`) && endpoints?.length === 4);
  };
  for (const name of ['h0', 'h1', 'g0', 'g1']) await until(`4 endpoints of ${name}`, () => known(name));
  for (const asker of all) {
    for (const index of balances.keys()) {
      // Its share is a tenth of a full one: 1 of 31. More than 20 of 150 has a chance below 10^-6.
      const counts = await whoAnswers(asker, index, 150);
      assert.ok((counts.get('d') ?? 0) <= 20, `${asker.name}: ${JSON.stringify([...counts])}`);
    }
  }
});

test('a zone is preferred, and its calls go elsewhere when it is gone', async (context) => {
  const apps = await applications(context);
  const zoned = ({ name, address }: Application) => ({ address, zone: name === 'a' ? 'z1' : 'z2' });
  const balances = ['p2c-ewma, zone prefer', 'round-robin, zone prefer', 'random, zone off'];
  const mesh = meshOf(apps, balances, zoned, { 'tulle.dev/health-check': 'tcp every 1s' });
  const all = askers(await twoWays(context, mesh, '--zone', 'z1'));
  for (const asker of all) {
    for (const index of [0, 1])
      assert.deepEqual([...(await whoAnswers(asker, index, 20)).keys()], ['a'], asker.name);
    assert.ok((await whoAnswers(asker, 2, 60)).size > 1);
  }
  for (const { name, stop } of apps.all) if (name === 'a') stop();
  for (const asker of all)
    for (const index of [0, 1])
      await until(`the other zone by ${asker.name}`, async () => {
        const who = await asker.ask(index);
        return who !== 'a' && who !== '';
      });
});

test('a zone that has more in flight than it should spills to the others', async (context) => {
  const apps = await applications(context);
  const zoned = ({ name, address }: Application) => ({ address, zone: name === 'a' ? 'z1' : 'z2' });
  const mesh = meshOf(apps, ['p2c-ewma, zone prefer', 'random, zone prefer'], zoned);
  const all = askers(await twoWays(context, mesh, '--zone', 'z1'));
  for (const asker of all) {
    for (const index of [0, 1]) {
      const called = asker.name === 'gRPC' ? apps.grpc : apps.http;
      const released = Promise.withResolvers<void>();
      for (const one of called) Object.assign(one, { requests: 0, held: released.promise });
      // A gRPC call goes through both listeners, and each judges for itself.
      const count = asker.name === 'gRPC' ? 20 : 40;
      const answers = Array.from({ length: count }, () => asker.ask(index));
      await until('all of them', () => called.reduce((sum, { requests }) => sum + requests, 0) === 40);
      const [near = 0, ...far] = called.map(({ requests }) => requests);
      // The first stay; of those above 4 a quarter does. That all but the first few stay has a chance below 10^-9.
      assert.ok(near >= 1 && far.some((requests) => requests > 0), `${asker.name}: ${near} and ${far}`);
      released.resolve();
      await Promise.all(answers);
      for (const one of called) one.held = undefined;
    }
  }
});

test('with fewer than half of the endpoints healthy all get requests; explanation and metric say so', async (context) => {
  const apps = await applications(context);
  const mesh = meshOf(apps, ['p2c-ewma', 'random, panic 20%'], undefined, {
    'tulle.dev/health-check': 'tcp every 1s',
  });
  const sidecar = await twoWays(context, mesh);
  const all = askers(sidecar);
  const answers = async (index: number): Promise<string[]> => {
    const who: string[] = [];
    // Of two gRPC calls one is that of the other listener.
    for (const { ask } of all) who.push(await ask(index), await ask(index));
    return who;
  };
  for (const index of [0, 1]) await answers(index);
  for (const { name, stop } of apps.all) if (name !== 'a') stop();
  const panics = () => sidecar.metric('tulle_balance_panic');
  await until('panic of two services, for the others a quarter is enough', async () => {
    await answers(0);
    return (await answers(1)).every((who) => who === 'a') && (await panics()) === 2;
  });
  let id = '';
  await until('an answer, since those that fail to connect are tried elsewhere', async () => {
    id = randomUUID();
    return (await sidecar.ways[0]?.ask('/', { host: 'h0.t', 'x-request-id': id }))?.body === 'a';
  });
  const { policies } = await sidecar.explain(id);
  assert.match(JSON.stringify(policies), /only 1 of 4 endpoints can be used, fewer than panic 50%/);
});

test('an endpoint that answers 429, or RESOURCE_EXHAUSTED, with Retry-After gets less', async (context) => {
  const apps = await applications(context);
  const balances = STRATEGIES;
  const all = askers(await twoWays(context, meshOf(apps, balances)));
  for (const asker of all) {
    for (const index of balances.keys()) {
      await until('it to be asked', async () => {
        for (const one of apps.all) one.busy = one.name === 'a';
        const before = apps.all.reduce((sum, { name, requests }) => sum + (name === 'a' ? requests : 0), 0);
        await asker.ask(index);
        return apps.all.reduce((sum, { name, requests }) => sum + (name === 'a' ? requests : 0), 0) > before;
      });
      const counts = await whoAnswers(asker, index, 80);
      // A fair share is 20, a tenth of it 2.
      assert.ok((counts.get('a') ?? 0) < 13, `${balances[index]} by ${asker.name}: ${counts.get('a')}`);
    }
  }
});

test('a proxy uses a subset as large as it is told', async (context) => {
  // Not p2c-ewma: a busy machine makes one of two slow, and the other gets all.
  const balances = ['random, subset 2', 'round-robin, subset 3'];
  const all = askers(await twoWays(context, meshOf(await applications(context), balances)));
  for (const asker of all) {
    assert.equal((await whoAnswers(asker, 0, 40)).size, 2, asker.name);
    assert.equal((await whoAnswers(asker, 1, 40)).size, 3, asker.name);
  }
});

test('warm connections to all endpoints are there after the first request to one', async (context) => {
  const apps = await applications(context);
  const [first, , , , calls] = askers(await twoWays(context, meshOf(apps, ['random, warm 3'])));
  await first?.ask(0);
  await until('3 to each', () => apps.http.every(({ connections }) => connections >= 3));
  assert.equal(
    apps.http.reduce((sum, { requests }) => sum + requests, 0),
    1,
  );
  await calls?.ask(0);
  await until('one to each', () => apps.grpc.every(({ connections }) => connections >= 1));
});

test('warm connections are never more than the limit of the service, and give way to a request elsewhere', async (context) => {
  const apps = await applications(context);
  const mesh = meshOf(apps, ['round-robin, warm 5'], undefined, { 'tulle.dev/limits': 'connections 3' });
  const [http, , , , calls] = askers(await twoWays(context, mesh));
  for (const [asker, called] of [
    [http, apps.http],
    [calls, apps.grpc],
  ] as const) {
    const connections = () => called.reduce((sum, one) => sum + one.connections, 0);
    await asker?.ask(0);
    await until('the first', () => connections() >= 3);
    // What one round opens beyond the limit is seen by the end of the next.
    for (let round = 1; round <= 3; round++) {
      for (const one of called) one.drop();
      const before = connections();
      await until(`all of round ${round}`, () => connections() >= before + 3);
      assert.equal(connections(), before + 3, `round ${round} by ${asker?.name}`);
    }
    assert.deepEqual([...(await whoAnswers(asker ?? assert.fail(), 0, 8)).keys()].sort(), NAMES);
  }
});
