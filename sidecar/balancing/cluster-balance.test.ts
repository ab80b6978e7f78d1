import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseBalance } from '../../protocol/annotations/balance.ts';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { Endpoint as EndpointDescription } from '../../protocol/endpoint.ts';
import { answering, type Backend } from '../../test/fixture/backend.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { plainConnector } from '../upstream/connector.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { Cluster, type ClusterParts } from './cluster.ts';

function names(count: number, zone?: string): EndpointDescription[] {
  return Array.from({ length: count }, (_, index) => ({
    address: `${zone ?? 'e'}${index}:1`,
    weight: 1,
    ready: true,
    ...(zone !== undefined && { zone }),
  }));
}

/** A cluster balanced as the annotation says, in a time that leaps. */
function balanced(
  context: TestContext,
  balance: string,
  more: Partial<ClusterParts> & { address?: string } = {},
) {
  const clock = leapingClock(context);
  const read = parseBalance(balance);
  assert.ok('balance' in read, JSON.stringify(read));
  const settings = { ...DEFAULT_SETTINGS, ...read };
  const connector = plainConnector(more.address ?? '127.0.0.1:1');
  const cluster = new Cluster('t/app', settings, {
    connectorFor: () => connector,
    engineLimits: DEFAULT_LIMITS,
    wheel: clock.wheel,
    connectMs: 1000,
    ...more,
  });
  context.after(() => cluster.close());
  const update = (endpoints: readonly EndpointDescription[], protocol: 'http' | 'grpc' | 'tcp' = 'http') =>
    cluster.update(endpoints, settings, protocol);
  const fail = (which: (endpoint: Endpoint) => boolean, failed = true): void => {
    for (const endpoint of cluster.endpoints) if (which(endpoint)) endpoint.healthy = !failed;
    cluster.zoneChanged(); // decides anew who is eligible
  };
  /** Shares of so many requests that come one after the other, by address. */
  const shares = (requests = 4_000): Map<string, number> => {
    const counts = new Map<string, number>();
    for (let i = 0; i < requests; i++) {
      const { address } = cluster.pick(undefined) ?? assert.fail('there is none');
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    for (const [address, count] of counts) counts.set(address, count / requests);
    return counts;
  };
  return { cluster, clock, update, fail, shares };
}

const near = (value: number | undefined, wanted: number): void =>
  assert.ok(Math.abs((value ?? 0) - wanted) < 0.04, `${value} is not about ${wanted}`);

for (const strategy of ['p2c-ewma', 'least-request', 'round-robin', 'random']) {
  test(`${strategy}: a new endpoint comes to its share within the slow start, those of the beginning have it at once`, (context) => {
    const { update, shares, clock } = balanced(context, `${strategy}, slow-start 30s`);
    update(names(3));
    near(shares().get('e0:1'), 1 / 3);
    update(names(4));
    const first = shares().get('e3:1') ?? 0;
    assert.ok(first > 0 && first < 0.07, `${first}`);
    for (let step = 0; step < 10; step++) clock.leap(1_500);
    const half = shares().get('e3:1') ?? 0;
    assert.ok(half > first && half < 0.22, `${first} ${half}`);
    for (let step = 0; step < 11; step++) clock.leap(1_500);
    near(shares().get('e3:1'), 0.25);
  });
}

test('an endpoint that is healthy again starts slowly, too', (context) => {
  const { update, shares, fail, clock } = balanced(context, 'random, slow-start 10s');
  update(names(4));
  fail(({ address }) => address === 'e1:1');
  assert.equal(shares().get('e1:1'), undefined);
  fail(({ address }) => address === 'e1:1', false);
  assert.ok((shares().get('e1:1') ?? 0) < 0.07);
  for (let step = 0; step < 21; step++) clock.leap(500);
  near(shares().get('e1:1'), 0.25);
});

test('with fewer than half of the endpoints usable all get requests, and each request says so', (context) => {
  const { update, fail, shares, cluster } = balanced(context, 'random');
  update(names(4));
  fail(({ address }) => address < 'e2');
  assert.equal(shares().size, 2, 'half is enough');
  const calm = exchangeFor();
  cluster.pick(calm);
  assert.deepEqual(calm.policies, []);
  fail(({ address }) => address < 'e3');
  assert.equal(shares().size, 4);
  const exchange = exchangeFor();
  cluster.pick(exchange, cluster.pick(exchange));
  assert.deepEqual(exchange.policies, [
    {
      policy: 'balance',
      decision: 'panic',
      detail: 'only 1 of 4 endpoints can be used, fewer than panic 50%: all get requests',
    },
  ]);
  fail(() => true, false);
  assert.equal(cluster.panic, undefined);
});

test('the panic threshold is as told; at 0% only the loss of all is one', (context) => {
  const { update, fail, shares } = balanced(context, 'random, panic 0%');
  update(names(4));
  fail(({ address }) => address < 'e3');
  assert.deepEqual([...shares().keys()], ['e3:1']);
  fail(() => true);
  assert.equal(shares().size, 4);
});

test('a subset is as large as told, stays as it is, and gets a stand-in for a member that fails', (context) => {
  const { update, fail, shares } = balanced(context, 'random, subset 5', { proxy: 'web-1' });
  update(names(100));
  const members = new Set(shares().keys());
  assert.equal(members.size, 5);
  update(names(100).reverse());
  assert.deepEqual(new Set(shares().keys()), members);
  const [one = ''] = members;
  fail(({ address }) => address === one);
  const instead = new Set(shares().keys());
  assert.equal(instead.size, 5);
  assert.deepEqual(
    [...members].filter((address) => !instead.has(address)),
    [one],
  );
});

test('an endpoint that goes changes one place of the subsets that have it; all proxies together use all about evenly', (context) => {
  const { update, shares, cluster } = balanced(context, 'random, subset 20', { proxy: 'web-1' });
  update(names(100));
  const members = new Set(shares().keys());
  const gone = [...members][0];
  update(names(100).filter(({ address }) => address !== gone));
  const after = new Set(shares().keys());
  assert.equal(members.intersection(after).size, 19);
  assert.equal(cluster.endpoints.length, 99);
});

const ZONED = [...names(3, 'a'), ...names(3, 'b'), ...names(3, 'c')];
const inZone = (shares: Map<string, number>, zone: string): number =>
  Number(
    [...shares].reduce((sum, [address, share]) => sum + (address.startsWith(zone) ? share : 0), 0).toFixed(9),
  );

for (const strategy of ['p2c-ewma', 'least-request', 'round-robin', 'random']) {
  test(`${strategy}: the own zone is preferred while it is healthy, and spills smoothly as its endpoints fail`, (context) => {
    const { update, fail, shares } = balanced(context, `${strategy}, zone prefer, panic 0%`, {
      zone: () => 'a',
    });
    update(ZONED);
    assert.equal(inZone(shares(), 'a'), 1);
    fail(({ address }) => address === 'a0:1');
    near(inZone(shares(), 'a'), (2 / 3) * 1.4);
    fail(({ address }) => address <= 'a1:1');
    near(inZone(shares(), 'a'), (1 / 3) * 1.4);
    fail(({ zone }) => zone === 'a');
    const away = shares();
    assert.equal(inZone(away, 'a'), 0);
    near(inZone(away, 'b'), 0.5);
  });
}

test('the own zone spills smoothly as it gets busy, down to an equal share of each endpoint', (context) => {
  const { update, shares, cluster } = balanced(context, 'random, zone prefer', { zone: () => 'a' });
  update(ZONED);
  const [first] = cluster.endpoints;
  assert.ok(first?.zone === 'a');
  const busy = (inFlight: number) => {
    while (first.inFlight < inFlight) cluster.started(first, 0);
    return inZone(shares(), 'a');
  };
  assert.equal(busy(3), 1);
  near(busy(6), 1 - (2 / 3) * (1 / 3));
  near(busy(9), 1 - (2 / 3) * (2 / 3));
  near(busy(12), 1 / 3);
  near(busy(30), 1 / 3);
  while (first.inFlight > 0) cluster.finished(first, 1, 1, false, '200', 0);
  assert.equal(inZone(shares(), 'a'), 1);
});

test('requests that end at an endpoint of the zone that is out do not make the others there look less busy', (context) => {
  const { update, shares, cluster, fail } = balanced(context, 'random, zone prefer', { zone: () => 'a' });
  update([...names(3, 'a'), ...names(3, 'b')]);
  const [first, second, third] = cluster.endpoints;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  for (let i = 0; i < 6; i++) for (const one of [first, first, second, third]) cluster.started(one, 0);
  fail((endpoint) => endpoint === first);
  shares(1);
  for (let i = 0; i < 12; i++) cluster.finished(first, 1, 1, false, '200', 0);
  near(inZone(shares(), 'a'), 2 / 5);
});

test('a retry leaves the zone when its only endpoint there has just failed', (context) => {
  const { update, cluster } = balanced(context, 'random, zone prefer', { zone: () => 'a' });
  update([...names(1, 'a'), ...names(2, 'b')]);
  const [own] = cluster.endpoints;
  for (let i = 0; i < 50; i++) assert.notEqual(cluster.pick(undefined, own), own);
});

test('zones count where the policy or hints of Kubernetes ask for it, and where the own is known', (context) => {
  const state: { zone: string | undefined } = { zone: undefined };
  const { update, shares, cluster } = balanced(context, 'random', { zone: () => state.zone });
  update(ZONED);
  state.zone = 'a';
  cluster.zoneChanged();
  assert.equal(shares().size, 9, 'nobody asked for it');
  update(ZONED.map((endpoint) => ({ ...endpoint, forZones: [endpoint.zone === 'b' ? 'a' : 'b'] })));
  assert.equal(inZone(shares(), 'b'), 1, 'a hint is for callers of a zone, wherever the endpoint is');
  state.zone = 'd';
  cluster.zoneChanged();
  assert.equal(shares().size, 9, 'none is meant for it');
});

test('zone off: hints of Kubernetes are not followed', (context) => {
  const { update, shares } = balanced(context, 'random, zone off', { zone: () => 'a' });
  update(ZONED.map((endpoint) => ({ ...endpoint, forZones: [endpoint.zone ?? ''] })));
  assert.equal(shares().size, 9);
});

const LATER = headOf('response', 'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n');

for (const balance of [
  'p2c-ewma',
  'least-request',
  'round-robin',
  'random',
  'ring-hash source',
  'maglev source',
]) {
  test(`${balance}: an endpoint that answers 429 with Retry-After gets a tenth for that time, and requests say so`, (context) => {
    const { update, shares, cluster, clock } = balanced(context, balance);
    update(names(4));
    const before = shares().get('e0:1') ?? 0;
    const [first] = cluster.endpoints;
    assert.ok(first);
    cluster.responded(first, LATER);
    const during = shares().get('e0:1') ?? 0;
    assert.ok(during > 0 && during < before * 0.2, `${during} of ${before}`);
    const notes = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const exchange = exchangeFor();
      cluster.pick(exchange);
      for (const { decision, detail } of exchange.policies)
        notes.add(`${decision}: ${detail.replace(/[45]\.\d/, 'N')}`);
    }
    if (!balance.endsWith('source'))
      assert.deepEqual([...notes], ['passed-over: e0:1 asked to be spared for N s more (Retry-After)']);
    clock.leap(5_100);
    near(shares().get('e0:1'), before);
  });
}

test('where all endpoints ask to be spared, all get their share', (context) => {
  const { update, shares, cluster } = balanced(context, 'random');
  update(names(2));
  for (const endpoint of cluster.endpoints) cluster.responded(endpoint, LATER);
  near(shares().get('e0:1'), 0.5);
});

/** The connections to a backend are open for the cluster as well: else a leap of time is their timeout. */
function isOpen({ endpoints }: Cluster, { connections }: Backend): boolean {
  const idle = endpoints.reduce((sum, { idleCount }) => sum + idleCount, 0);
  // HTTP/2 begins with a preface.
  return idle === connections.length || connections.every(({ text }) => text !== '');
}

for (const [protocol, each] of [
  ['http', 2],
  ['grpc', 1],
] as const) {
  test(`warm connections of ${protocol} are there before the first request, to each member of the subset, and are made again`, async (context) => {
    const backend = await answering();
    context.after(() => backend.close());
    const { update, cluster, clock } = balanced(context, 'random, subset 2, warm 2', {
      address: backend.address,
    });
    update(names(5), protocol);
    await until('connections', () => backend.connections.length === 2 * each && isOpen(cluster, backend));
    assert.equal(cluster.use.connections, 2 * each);
    for (let round = 0; round < 5; round++) clock.leap(1_000);
    assert.equal(cluster.use.connections, 2 * each, 'no more than that');
    for (const { socket } of backend.connections) socket.destroy();
    await until('new ones', () => {
      // The wheel turns by itself as well: they may be under way.
      if (cluster.use.connections === 0) clock.leap(1_000);
      return backend.connections.length === 4 * each;
    });
  });
}

test('warm connections keep within the limit of the service, also when they are made again, and opaque services have none', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster, clock } = balanced(context, 'random, warm 3', { address: backend.address });
  const read = parseBalance('random, warm 3');
  assert.ok('balance' in read);
  const settings = { ...DEFAULT_SETTINGS, ...read, limits: { connections: 4, pending: 1, requests: 1 } };
  cluster.update(names(2), settings, 'tcp');
  assert.equal(cluster.use.connections, 0);
  cluster.update(names(2), settings, 'http');
  assert.equal(cluster.use.connections, 4);
  await until('connections', () => backend.connections.length === 4 && isOpen(cluster, backend));
  // That the limit leaves no place for more is no reason to look more rarely.
  for (let round = 0; round < 40; round++) clock.leap(1_000);
  for (const { socket } of backend.connections) socket.destroy();
  let rounds = 0;
  await until('new ones', () => {
    if (cluster.use.connections < 4) {
      clock.leap(1_000);
      rounds++;
    }
    return backend.connections.length >= 8;
  });
  // Their ends need not all be noticed at once.
  assert.ok(rounds <= 4, `${rounds} rounds`);
  assert.equal(cluster.use.connections, 4);
});
