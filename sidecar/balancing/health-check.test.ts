import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { HealthCheck } from '../../protocol/traffic-policy.ts';
import { answering } from '../../test/fixture/backend.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Log } from '../log.ts';
import { failing, plainConnector } from '../upstream/connector.ts';
import { Cluster } from './cluster.ts';

const EVERY_MS = 30_000;
const TCP: HealthCheck = { kind: 'tcp', target: '', everyMs: EVERY_MS, timeoutMs: 20_000 };
const HTTP: HealthCheck = { ...TCP, kind: 'http', target: '/' };

/** A cluster of `a:1` and so on, each of which can be down. */
async function checked(context: TestContext, check: HealthCheck | 'off' = TCP, names = ['a:1', 'b:1']) {
  const clock = leapingClock(context);
  const backend = await answering();
  const down = new Set<string>();
  /** Whom connections were opened to. */
  const opened: string[] = [];
  const lines: string[] = [];
  const keep = (_details: object, line: string) => void lines.push(line);
  const log: Log = { debug() {}, info: keep, warn: keep, error: keep };
  const plain = plainConnector(backend.address);
  const cluster = new Cluster('t/app', DEFAULT_SETTINGS, {
    connectorFor: ({ address }) => ({
      ...plain,
      open(onread) {
        opened.push(address);
        return down.has(address) ? failing('it is down') : plain.open(onread);
      },
    }),
    engineLimits: DEFAULT_LIMITS,
    wheel: clock.wheel,
    connectMs: 1000,
    log,
  });
  context.after(() => {
    cluster.close();
    backend.close();
  });
  const update = (now: HealthCheck | 'off', addresses = names): void =>
    cluster.update(
      addresses.map((address) => ({ address, weight: 1, ready: true })),
      { ...DEFAULT_SETTINGS, ...(now !== 'off' && { healthCheck: now }) },
      'http',
    );
  update(check);
  const of = (address: string) =>
    cluster.endpoints.find((endpoint) => endpoint.address === address) ?? assert.fail(address);
  const failureOf = (address: string) => cluster.healthOf(of(address))?.lastFailure;
  /** A request comes, and an interval passes; those that are down are found to be so. */
  const round = async () => {
    const before = new Map([...down].map((address) => [address, failureOf(address)]));
    const healthy = cluster.endpoints.length - down.size;
    const count = backend.connections.length + healthy;
    cluster.pick(undefined);
    clock.leap(EVERY_MS);
    await until('failures', () => [...before].every(([address, was]) => failureOf(address) !== was));
    await until('successes', () => backend.connections.length === count);
    await until('the end of probes', () => backend.connections.every(({ closed }) => closed));
  };
  /** Whom many requests go to. */
  const picked = () => {
    const found = new Set<string>();
    for (let i = 0; i < 200; i++) found.add(cluster.pick(undefined)?.address ?? 'none');
    return [...found].sort();
  };
  return { cluster, clock, backend, down, opened, lines, update, of, failureOf, round, picked };
}

test('two failures in a row take an endpoint out, one success brings it back, and each is told', async (context) => {
  const { down, round, picked, of, failureOf, lines } = await checked(context);
  await round();
  assert.deepEqual([picked(), lines, failureOf('a:1')], [['a:1', 'b:1'], [], undefined]);
  down.add('a:1');
  await round();
  assert.deepEqual([picked(), of('a:1').healthy], [['a:1', 'b:1'], true], 'one failure is none');
  down.delete('a:1');
  await round();
  down.add('a:1');
  await round();
  assert.deepEqual([picked(), lines], [['a:1', 'b:1'], []], 'they must be in a row');
  await round();
  assert.deepEqual([picked(), of('a:1').healthy], [['b:1'], false]);
  assert.equal(failureOf('a:1')?.words, 'connect to a:1: closed');
  await round();
  down.delete('a:1');
  await round();
  assert.deepEqual([picked(), of('a:1').healthy], [['a:1', 'b:1'], true]);
  assert.deepEqual(lines, [
    'endpoint a:1 of t/app is unhealthy: connect to a:1: closed',
    'endpoint a:1 of t/app is healthy again',
  ]);
});

test('where none is healthy all get requests: a check never empties a service', async (context) => {
  const { down, round, picked, cluster, lines } = await checked(context);
  for (const address of ['a:1', 'b:1']) down.add(address);
  await round();
  await round();
  assert.ok(cluster.endpoints.every(({ healthy }) => !healthy));
  assert.deepEqual(picked(), ['a:1', 'b:1']);
  assert.ok(
    lines.some((line) => line.endsWith('; no endpoint is healthy, so all get requests')),
    lines.join(),
  );
  assert.ok(lines.includes('t/app: only 0 of 2 endpoints can be used: all get requests'), lines.join());
  down.delete('b:1');
  await round();
  assert.deepEqual(picked(), ['b:1']);
});

test('the one that just failed is picked again rather than one that is unhealthy', async (context) => {
  const { down, round, cluster, of } = await checked(context);
  down.add('a:1');
  await round();
  await round();
  for (let i = 0; i < 50; i++) assert.ok(cluster.pick(undefined, of('b:1')) === of('b:1'));
});

test('a service that nobody uses is not probed: not before the first request, and not 90 s after the last', async (context) => {
  const { clock, opened, round, backend } = await checked(context, TCP, ['a:1']);
  for (let i = 0; i < 5; i++) clock.leap(EVERY_MS);
  assert.deepEqual(opened, []);
  await round();
  assert.equal(opened.length, 1);
  for (let i = 0; i < 2; i++) {
    clock.leap(EVERY_MS);
    await until('a probe', () => backend.connections.length === 2 + i);
    await until('its end, before the next is due', () => backend.connections.every(({ closed }) => closed));
  }
  for (let i = 0; i < 10; i++) clock.leap(EVERY_MS);
  assert.ok(opened.length <= 4, 'used 90 s ago');
  const paused = opened.length;
  for (let i = 0; i < 10; i++) clock.leap(EVERY_MS);
  assert.equal(opened.length, paused);
  await round();
  assert.equal(opened.length, paused + 1);
});

test('a service without a check costs no connection', async (context) => {
  const { cluster, clock, opened, picked, of } = await checked(context, 'off');
  assert.deepEqual(picked(), ['a:1', 'b:1']);
  clock.leap(EVERY_MS);
  assert.deepEqual(opened, []);
  assert.ok(cluster.healthOf(of('a:1')) === undefined);
});

test('probes show in no figure of load, and take no place of a request', async (context) => {
  const { cluster, clock, backend, of } = await checked(context, HTTP, ['a:1']);
  cluster.pick(undefined);
  clock.leap(EVERY_MS);
  await until('the probe', () => backend.received !== '');
  const { inFlight, ewmaMs, stampMs, connections, idleCount } = of('a:1');
  assert.deepEqual([inFlight, ewmaMs, stampMs, connections, idleCount], [0, 0, 0, 0, 0]);
  const { use } = cluster;
  assert.deepEqual([use.connections, use.pending, use.requests, use.hungry.size], [0, 0, 0, 0]);
});

test('turned off, every endpoint counts as healthy at once, and none is probed', async (context) => {
  const { cluster, clock, down, round, update, picked, opened, of } = await checked(context);
  down.add('a:1');
  await round();
  await round();
  assert.deepEqual(picked(), ['b:1']);
  update('off');
  assert.deepEqual(picked(), ['a:1', 'b:1']);
  opened.length = 0;
  clock.leap(EVERY_MS);
  assert.deepEqual(opened, []);
  assert.ok(cluster.healthOf(of('a:1')) === undefined);
});

test('asked in another way, an unhealthy endpoint stays out until that is answered', async (context) => {
  const { clock, down, round, update, picked, cluster, of } = await checked(context);
  down.add('a:1');
  await round();
  await round();
  const check = cluster.healthOf(of('a:1'));
  update({ ...HTTP });
  assert.deepEqual(picked(), ['b:1']);
  assert.ok(cluster.healthOf(of('a:1')) === check);
  down.delete('a:1');
  clock.leap(EVERY_MS);
  await until('it to heal', () => of('a:1').healthy);
  assert.deepEqual(picked(), ['a:1', 'b:1']);
});

test('the same settings once more do not put off a probe that is due', async (context) => {
  const { clock, update, opened, cluster } = await checked(context, TCP, ['a:1']);
  clock.leap(EVERY_MS); // from now on it is due in one interval
  cluster.pick(undefined);
  for (let i = 0; i < 10; i++) {
    clock.leap(EVERY_MS / 10);
    update({ ...TCP });
  }
  clock.leap(50);
  assert.deepEqual(opened, ['a:1']);
});

test('an endpoint that goes is probed no more, one that comes is', async (context) => {
  const { round, update, opened } = await checked(context);
  await round();
  update(TCP, ['b:1', 'c:1']);
  opened.length = 0;
  await round();
  assert.deepEqual(opened.sort(), ['b:1', 'c:1']);
});

test('a closed cluster leaves no probe, no timer and no connection behind', async (context) => {
  const { cluster, clock, backend, opened } = await checked(context, HTTP);
  cluster.pick(undefined);
  clock.leap(EVERY_MS);
  await until('probes that wait or are over', () => backend.connections.length === 2);
  cluster.close();
  await until('the end of them', () => backend.connections.every(({ closed }) => closed));
  opened.length = 0;
  clock.leap(EVERY_MS);
  assert.deepEqual(opened, []);
});
