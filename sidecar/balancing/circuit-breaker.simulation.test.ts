import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { CircuitBreakerSettings } from '../../protocol/traffic-policy.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { plainConnector } from '../upstream/connector.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { Cluster } from './cluster.ts';

const SETTINGS: CircuitBreakerSettings = {
  failures: 5,
  ejectMinMs: 5_000,
  ejectMaxMs: 60_000,
  maxEjectedPercent: 50,
};

/** A service under requests, by a clock that only the simulation moves. */
function simulation(context: TestContext, seed: number, settings: CircuitBreakerSettings) {
  const random = seeded(seed);
  let nowMs = 1_000_000;
  context.mock.method(performance, 'now', () => nowMs);
  context.mock.method(Math, 'random', random);
  const wheel = new TimerWheel(() => nowMs);
  const cluster = new Cluster('t/app', DEFAULT_SETTINGS, {
    connectorFor: () => plainConnector('127.0.0.1:1'),
    engineLimits: DEFAULT_LIMITS,
    wheel,
    connectMs: 1000,
  });
  context.after(() => cluster.close());
  /** Chance of a failure, by address. */
  const failing = new Map<string, number>();
  const ended: (() => void)[] = [];
  let failures = 0;
  const ejected = () => cluster.endpoints.filter(({ circuit }) => circuit?.ejected).length;
  return {
    cluster,
    failing,
    random,
    ejected,
    get failures() {
      return failures;
    },
    update(count: number): void {
      const addresses = Array.from({ length: count }, (_, index) => `10.0.0.${index}`);
      cluster.update(
        addresses.map((address) => ({ address, weight: 1, ready: true })),
        { ...DEFAULT_SETTINGS, circuitBreaker: settings },
      );
    },
    pass(ms: number): void {
      nowMs += ms;
      wheel.turn();
    },
    /** A request; its end comes after some others. */
    request(): void {
      const startedMs = nowMs;
      const endpoint = cluster.pick(undefined) ?? assert.fail('the service is empty');
      cluster.started(endpoint, nowMs);
      ended.push(() => {
        const draw = random();
        const failed = draw < (failing.get(endpoint.address) ?? 0);
        if (failed) failures++;
        const result = failed ? '503' : draw > 0.98 ? 'cancelled' : '200';
        cluster.finished(endpoint, nowMs, nowMs - startedMs, failed, result, startedMs);
      });
      while (ended.length > 8 || (ended.length > 0 && random() < 0.5)) ended.shift()?.();
    },
    finishAll(): void {
      for (const end of ended.splice(0)) end();
    },
    /** What must hold at any time. */
    check(when: string): void {
      const { length } = cluster.endpoints;
      const most = Math.min(Math.floor((length * settings.maxEjectedPercent) / 100), length - 1);
      assert.ok(ejected() <= most, `${when}: ${ejected()} of ${length} are ejected`);
      const available = cluster.endpoints.filter((endpoint: Endpoint) => !endpoint.circuit?.ejected);
      assert.ok(available.length > 0, `${when}: the service is empty`);
    },
  };
}

for (let seed = 1; seed <= 12; seed++) {
  const maxEjectedPercent = [50, 100, 30][seed % 3] ?? 50;
  test(`seed ${seed}: under random failures and churn never more than ${maxEjectedPercent} % are ejected, never the last, and all come back`, (context) => {
    const success = seed % 2 === 0 ? { percent: 80, count: 30, windowMs: 10_000 } : undefined;
    const settings = { ...SETTINGS, maxEjectedPercent, ...(success && { success }) };
    const world = simulation(context, seed, settings);
    const { random, failing, cluster } = world;
    world.update(10);
    for (let step = 0; step < 6_000; step++) {
      const chance = random();
      if (chance < 0.005) world.update(1 + Math.floor(random() * 20));
      else if (chance < 0.02)
        failing.set(`10.0.0.${Math.floor(random() * 20)}`, [0, 0.1, 0.6, 1][step % 4] ?? 0);
      else if (chance < 0.022) for (let i = 0; i < 20; i++) failing.set(`10.0.0.${i}`, step % 2);
      world.request();
      world.pass(random() * 400);
      world.check(`step ${step}`);
    }
    failing.clear();
    world.finishAll();
    // The longest ejection, and then three probes each.
    world.pass(settings.ejectMaxMs + 1_000);
    for (let request = 0; request < 400; request++) {
      world.request();
      world.finishAll();
    }
    assert.equal(world.ejected(), 0);
    assert.ok(cluster.endpoints.every(({ available }) => available));
  });
}

test('random failures do eject: the invariants hold of something', (context) => {
  const world = simulation(context, 3, SETTINGS);
  world.update(6);
  world.failing.set('10.0.0.1', 1);
  for (let request = 0; request < 2_000; request++) {
    world.request();
    world.pass(50);
    world.check(`request ${request}`);
  }
  const { failures: first = 0, probe = 0 } = world.cluster.ejections ?? {};
  assert.equal(first, 1);
  assert.ok(probe >= 2, `${probe} probes failed`);
  // Of 2000 requests in 100 s: what opened it, what was in flight, and a probe now and then.
  assert.ok(world.failures < 25, `${world.failures} requests failed`);
});

test('an endpoint that flaps for minutes is ejected for longer and longer, and comes back when it is well', (context) => {
  const world = simulation(context, 5, SETTINGS);
  world.update(3);
  for (let second = 0; second < 300; second++) {
    world.failing.set('10.0.0.1', Math.floor(second / 7) % 2);
    for (let request = 0; request < 20; request++) {
      world.request();
      world.pass(50);
      world.check(`second ${second}`);
    }
  }
  world.failing.clear();
  const flapped = world.cluster.ejections;
  assert.ok((flapped?.failures ?? 0) + (flapped?.probe ?? 0) <= 20, JSON.stringify(flapped));
  world.pass(61_000);
  for (let request = 0; request < 50; request++) {
    world.request();
    world.finishAll();
  }
  assert.equal(world.ejected(), 0);
});

test('an outage of all, as when the own network is away, ejects nobody, however many there are', (context) => {
  for (const count of [2, 3, 10, 100]) {
    const world = simulation(context, count, SETTINGS);
    world.update(count);
    for (let request = 0; request < 3_000; request++) {
      world.request();
      world.pass(10);
    }
    for (let i = 0; i < count; i++) world.failing.set(`10.0.0.${i}`, 1);
    for (let request = 0; request < 3_000; request++) {
      world.request();
      world.pass(10);
    }
    assert.ok(world.ejected() <= count / 10, `${world.ejected()} of ${count}`);
    context.mock.restoreAll();
  }
});
