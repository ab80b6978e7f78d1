import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { CircuitBreakerSettings, HealthCheck } from '../../protocol/traffic-policy.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Log } from '../log.ts';
import { plainConnector } from '../upstream/connector.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { Cluster } from './cluster.ts';

const BREAKER: CircuitBreakerSettings = {
  failures: 5,
  ejectMinMs: 5_000,
  ejectMaxMs: 60_000,
  maxEjectedPercent: 50,
};
/** With the quarter by chance, and what the wheel of timers may be late. */
const LONGEST_FIRST_MS = 6_300;

/** A service of endpoints `a`, `b` ... by a clock of the test's. */
function service(context: TestContext, names: string, more: Partial<CircuitBreakerSettings> = {}) {
  const clock = leapingClock(context);
  const lines: string[] = [];
  const keep = (_details: object, line: string) => void lines.push(line);
  const log: Log = { debug() {}, info: keep, warn: keep, error: keep };
  const cluster = new Cluster('t/app', DEFAULT_SETTINGS, {
    connectorFor: () => plainConnector('127.0.0.1:1'),
    engineLimits: DEFAULT_LIMITS,
    wheel: clock.wheel,
    connectMs: 1000,
    log,
  });
  context.after(() => cluster.close());
  const update = (
    now: string,
    settings: Partial<CircuitBreakerSettings> | 'off' = more,
    healthCheck?: HealthCheck,
  ): void => {
    const { circuitBreaker: _, ...rest } = DEFAULT_SETTINGS;
    cluster.update(
      [...now].map((address) => ({ address, weight: 1, ready: true })),
      {
        ...rest,
        ...(settings !== 'off' && { circuitBreaker: { ...BREAKER, ...settings } }),
        ...(healthCheck && { healthCheck }),
      },
    );
  };
  update(names);
  const of = (name: string): Endpoint =>
    cluster.endpoints.find(({ address }) => address === name) ?? assert.fail(`no ${name}`);
  /** An attempt there that took no time. */
  const attempt = (name: string | Endpoint, result = '200'): string | undefined => {
    const endpoint = typeof name === 'string' ? of(name) : name;
    const nowMs = performance.now();
    cluster.started(endpoint, nowMs);
    const failed = !/^[2-4]|^501|cancelled/.test(result);
    return cluster.finished(endpoint, nowMs, 0, failed, result, nowMs);
  };
  const attempts = (name: string, count: number, result = '200') => {
    for (let i = 0; i < count; i++) attempt(name, result);
  };
  return {
    cluster,
    clock,
    lines,
    update,
    of,
    attempt,
    attempts,
    /** Endpoints that are not available. */
    out: () =>
      cluster.endpoints
        .filter(({ available }) => !available)
        .map(({ address }) => address)
        .join(''),
    stateOf: (name: string) => of(name).circuit?.state ?? 'closed',
    /** Whom requests go to, without probes. */
    picked: () => {
      const found = new Set<string>();
      // A retry is never a probe.
      const none = new Map() as unknown as Endpoint;
      for (let i = 0; i < 200; i++) found.add(cluster.pick(undefined, none)?.address ?? 'none');
      return [...found].sort().join('');
    },
  };
}

test('so many failures in a row eject an endpoint, one fewer does not, and a success begins anew', (context) => {
  const { attempt, attempts, out, picked, lines } = service(context, 'abc');
  attempts('b', 3);
  attempts('a', 4, '503');
  attempt('a');
  attempts('a', 4, '503');
  assert.equal(out(), '');
  assert.deepEqual(lines, []);
  const words = attempt('a', 'connect-failed') ?? assert.fail('it is not ejected');
  assert.equal(out(), 'a');
  assert.equal(picked(), 'bc');
  assert.match(
    words,
    /^a is ejected for \d\.\d s: 5 failures in a row \((503 at [\d:.]+Z, ){4}connect-failed at [\d:.]+Z\)$/,
  );
  assert.deepEqual(lines, [`endpoint of t/app: ${words}`]);
});

test('what says nothing of an endpoint neither counts nor begins anew', (context) => {
  const { attempt, attempts, out } = service(context, 'ab');
  attempts('a', 4, '503');
  attempts('a', 9, 'cancelled');
  attempts('a', 9, 'overloaded');
  assert.equal(out(), '');
  attempt('a', '503');
  assert.equal(out(), 'a');
});

for (const answer of ['501', '429', '404', '499'])
  test(`${answer} is an answer: it begins anew`, (context) => {
    const { attempt, attempts, out } = service(context, 'ab');
    attempts('a', 4, '503');
    attempt('a', answer);
    attempts('a', 4, '503');
    assert.equal(out(), '');
  });

test('after its time it gets one request at a time as a probe, and after three that went well all traffic', (context) => {
  const { cluster, clock, attempt, attempts, out, stateOf, of, lines } = service(context, 'abc');
  attempts('a', 5, '503');
  clock.leap(4_900);
  assert.equal(stateOf('a'), 'open');
  assert.notEqual(cluster.pick(undefined), of('a'));
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(stateOf('a'), 'half-open');
  for (let probe = 0; probe < 3; probe++) {
    assert.equal(out(), 'a');
    const exchange = exchangeFor();
    assert.equal(cluster.pick(exchange), of('a'));
    assert.match(
      exchange.policies.map(({ policy, decision, detail }) => `${policy} ${decision} ${detail}`).join(),
      /^circuit-breaker probed a is half-open, and this request a probe of it: ejected for [56]\.\d s: 5 failures in a row \(503 at /,
    );
    for (let i = 0; i < 50; i++) assert.notEqual(cluster.pick(undefined), of('a'), 'one at a time');
    attempt('a');
  }
  assert.deepEqual([out(), stateOf('a')], ['', 'closed']);
  assert.deepEqual(lines.slice(1), [
    'endpoint a of t/app is half-open: it is probed',
    'endpoint a of t/app is back: 3 probes went well',
  ]);
});

test('a probe that fails ejects for twice as long, up to the longest time', (context) => {
  const { cluster, clock, attempt, attempts, stateOf, of } = service(context, 'ab');
  attempts('a', 5, '503');
  for (const atLeast of [10_000, 20_000, 40_000, 45_000, 45_000]) {
    clock.leap(60_000);
    assert.equal(stateOf('a'), 'half-open');
    assert.equal(cluster.pick(undefined), of('a'));
    assert.match(attempt('a', '500') ?? '', /^a is ejected for .* s: its probe failed \(500 at [\d:.]+Z\)$/);
    const ejectedMs = of('a').circuit?.ejectedMs ?? 0;
    assert.ok(ejectedMs >= atLeast && ejectedMs <= 60_000, String(ejectedMs));
  }
  assert.deepEqual(cluster.ejections, { failures: 1, 'success-rate': 0, probe: 5 });
});

test('good time afterwards makes the next ejection short again', (context) => {
  const { cluster, clock, attempt, attempts, of } = service(context, 'ab');
  const back = () => {
    clock.leap(60_000);
    for (let probe = 0; probe < 3; probe++) {
      assert.equal(cluster.pick(undefined), of('a'));
      attempt('a');
    }
  };
  const ejected = () => {
    attempts('a', 5, '503');
    return of('a').circuit?.ejectedMs ?? 0;
  };
  assert.ok(ejected() < 6_300);
  back();
  assert.ok(ejected() >= 10_000);
  back();
  clock.leap(100_000);
  assert.ok(ejected() < 6_300);
});

test('a probe whose caller goes away says nothing: the next request is the probe', (context) => {
  const { cluster, clock, attempt, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  for (let i = 0; i < 5; i++) {
    assert.equal(cluster.pick(undefined), of('a'));
    attempt('a', 'cancelled');
  }
  assert.equal(stateOf('a'), 'half-open');
});

test('a probe that lasts holds up no other, and one that has a good head by then has gone well', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(cluster.pick(undefined), of('a'));
  assert.notEqual(cluster.pick(undefined), of('a'));
  clock.leap(5_100);
  for (let probe = 0; probe < 3; probe++) {
    assert.equal(stateOf('a'), 'half-open');
    assert.equal(cluster.pick(undefined), of('a'));
    const startedMs = performance.now();
    cluster.started(of('a'), startedMs);
    cluster.answered(of('a'), startedMs);
    clock.leap(5_100);
  }
  assert.equal(stateOf('a'), 'closed');
});

test('a good head of an attempt from before the probe does not let a probe pass that hangs', (context) => {
  const { cluster, clock, attempts, of } = service(context, 'ab');
  const beganMs = performance.now();
  cluster.started(of('a'), beganMs);
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(cluster.pick(undefined), of('a'));
  cluster.answered(of('a'), beganMs);
  clock.leap(1);
  cluster.started(of('a'), performance.now());
  cluster.answered(of('a'), beganMs);
  clock.leap(5_100);
  assert.equal(of('a').circuit?.passed, 0);
});

test('what began before it was half-open is no probe: neither its success nor its failure counts', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  for (const [failed, result] of [
    [true, 'request-timeout'],
    [false, '200'],
  ] as const)
    for (let i = 0; i < 5; i++) {
      cluster.started(of('a'), performance.now());
      const nowMs = performance.now();
      cluster.finished(of('a'), nowMs, 30_000, failed, result, nowMs - 30_000);
    }
  assert.equal(stateOf('a'), 'half-open');
  assert.equal(of('a').circuit?.passed, 0);
});

test('a stream that began before it was half-open is no probe, however quickly its head had come', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  const beganMs = performance.now();
  for (let i = 0; i < 2; i++) cluster.started(of('a'), beganMs);
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(cluster.pick(undefined), of('a'));
  clock.leap(1000);
  cluster.finished(of('a'), performance.now(), 1, false, '200', beganMs);
  assert.equal(of('a').circuit?.passed, 0);
  cluster.finished(of('a'), performance.now(), 1, true, 'upstream-reset', beganMs);
  assert.equal(stateOf('a'), 'half-open');
});

test('of what a server calls its failure, no more is remembered than a reason code has', (context) => {
  const { attempt, of } = service(context, 'ab');
  attempt('a', 'y'.repeat(60_000));
  assert.equal(of('a').circuit?.failures[0]?.result, 'y'.repeat(64));
});

test('a probe counts though its request came before an endpoint was chosen for it', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  for (let probe = 0; probe < 3; probe++) {
    const cameMs = performance.now();
    clock.leap(probe);
    assert.equal(stateOf('a'), 'half-open');
    assert.equal(cluster.pick(undefined), of('a'));
    cluster.started(of('a'), cameMs);
    clock.leap(1);
    const nowMs = performance.now();
    cluster.finished(of('a'), nowMs, nowMs - cameMs, false, '200', cameMs);
  }
  assert.equal(stateOf('a'), 'closed');
});

test('a probe counts though its request came before the endpoint was half-open', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  const cameMs = performance.now();
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(cluster.pick(undefined), of('a'));
  cluster.started(of('a'), cameMs);
  const nowMs = performance.now();
  cluster.finished(of('a'), nowMs, nowMs - cameMs, true, '503', cameMs);
  assert.equal(stateOf('a'), 'open');
});

test('a stream from before that ends during a probe is not taken for it, however soon it was connected', (context) => {
  const { cluster, clock, attempts, of, stateOf } = service(context, 'ab');
  attempts('a', 5, '503');
  const beganMs = performance.now();
  clock.leap(LONGEST_FIRST_MS);
  for (let probe = 0; probe < 3; probe++) {
    assert.equal(stateOf('a'), 'half-open');
    assert.equal(cluster.pick(undefined), of('a'));
    const startedMs = performance.now();
    cluster.started(of('a'), startedMs);
    clock.leap(10);
    cluster.finished(of('a'), performance.now(), 1, false, 'connected', beganMs);
    cluster.finished(of('a'), performance.now(), 1, true, 'upstream-reset', beganMs);
    cluster.finished(of('a'), performance.now(), 1, false, '200', startedMs);
  }
  assert.equal(stateOf('a'), 'closed');
});

test('a retry is never a probe', (context) => {
  const { cluster, clock, attempts, of, picked } = service(context, 'ab');
  attempts('a', 5, '503');
  clock.leap(LONGEST_FIRST_MS);
  assert.equal(picked(), 'b');
  assert.equal(cluster.pick(undefined), of('a'));
});

test('the last endpoint is never ejected, and one alone neither', (context) => {
  const two = service(context, 'ab', { maxEjectedPercent: 100 });
  two.attempts('a', 5, '503');
  two.attempts('b', 50, '503');
  assert.deepEqual([two.out(), two.picked()], ['a', 'b']);
  assert.equal(two.of('b').circuit?.spared, 'it is the last');
  two.attempts('b', 1);
  assert.equal(two.of('b').circuit?.spared, '');
  const one = service(context, 'a');
  one.attempts('a', 50, '503');
  assert.deepEqual([one.out(), one.picked()], ['', 'a']);
});

test('no more than the share that may be are ejected at once', (context) => {
  const { attempts, out, of } = service(context, 'abcdef');
  for (const name of 'ef') attempts(name, 100);
  for (const name of 'abcd') attempts(name, 40, '503');
  assert.equal(out(), 'abc');
  assert.equal(of('d').circuit?.spared, '3 of 6 are out already (max 50%)');
});

test('those that a health check has taken out count to that share', (context) => {
  const { cluster, attempts, out, of } = service(context, 'abcd');
  const settings = { ...DEFAULT_SETTINGS, circuitBreaker: BREAKER };
  for (const name of 'cd') of(name).healthy = false;
  cluster.update(
    [...'abcd'].map((address) => ({ address, weight: 1, ready: true })),
    settings,
  );
  attempts('b', 20);
  attempts('a', 20, '503');
  assert.equal(out(), 'cd');
  assert.equal(of('a').circuit?.spared, '2 of 4 are out already (max 50%)');
});

test('when all endpoints fail, as when the own network does, nobody is ejected', (context) => {
  const { attempt, attempts, out, of } = service(context, 'abcd');
  for (const name of 'abcd') attempts(name, 100);
  for (let i = 0; i < 300; i++) for (const name of 'abcd') attempt(name, 'connect-timeout');
  assert.equal(out(), '');
  assert.match(of('a').circuit?.spared ?? '', /^its peers fail, too \(\d+%\)$/);
  // Who still fails when the others are well again stands out.
  for (const name of 'bcd') attempts(name, 3000);
  attempt('a', 'connect-timeout');
  assert.equal(out(), 'a');
});

test('what is so for all, as some requests that no endpoint can serve, ejects nobody', (context) => {
  const { attempt, out } = service(context, 'abc');
  let seed = 7;
  for (let i = 0; i < 30_000; i++) {
    seed = (seed * 1664525 + 1013904223) % 2 ** 32;
    attempt('abc'.charAt(i % 3), seed / 2 ** 32 < 0.4 ? '500' : '200');
  }
  assert.equal(out(), '');
});

test('by success rate: an endpoint that fails often but not in a row is ejected, where its peers do better', (context) => {
  const success = { percent: 50, count: 20, windowMs: 10_000 };
  const { attempt, out, cluster, lines } = service(context, 'abc', { success });
  for (let i = 0; i < 6; i++)
    for (const name of 'abc') for (const result of ['200', '500', '500']) attempt(name, result);
  assert.equal(out(), '', 'all alike');
  const well = service(context, 'abc', { success });
  for (let i = 0; i < 20; i++) for (const name of 'bc') well.attempt(name);
  for (let i = 0; i < 6; i++) for (const result of ['500', '500', '200']) well.attempt('a', result);
  assert.equal(well.out(), '', 'too few');
  for (const result of ['500', '500']) well.attempt('a', result);
  assert.equal(well.out(), 'a');
  assert.match(well.lines.join(), /a is ejected for .* s: 6 of 20 requests succeeded of late \(/);
  assert.deepEqual(well.cluster.ejections, { failures: 0, 'success-rate': 1, probe: 0 });
  assert.deepEqual([cluster.ejections?.['success-rate'], lines], [0, []]);
});

test('an endpoint that stays keeps its state and history, one that goes is forgotten', (context) => {
  const { cluster, clock, attempts, update, out, stateOf, of } = service(context, 'abc');
  attempts('a', 5, '503');
  attempts('b', 4, '503');
  update('abcd', { failures: 5, ejectMinMs: 5_000 });
  assert.deepEqual([out(), of('b').circuit?.streak], ['a', 4]);
  const gone = of('a');
  update('bcd');
  assert.deepEqual([out(), gone.circuit], ['', undefined]);
  cluster.started(gone, 0);
  assert.equal(cluster.finished(gone, 1, 1, true, '503', 0), undefined);
  assert.equal(gone.circuit, undefined);
  update('abcd');
  assert.equal(stateOf('a'), 'closed');
  clock.leap(60_000);
  assert.equal(out(), '');
});

test('when endpoints go or less is allowed, those that would be back soonest are back at once', (context) => {
  const { clock, attempts, update, out, lines } = service(context, 'abcd');
  for (const name of 'cd') attempts(name, 50);
  attempts('a', 30, '503');
  clock.leap(2_000);
  attempts('b', 30, '503');
  assert.equal(out(), 'ab');
  update('abc');
  assert.equal(out(), 'b');
  assert.equal(lines.at(-1), 'endpoint a of t/app is back: more would be ejected than may be');
  update('b');
  assert.equal(out(), '');
  attempts('b', 9, '503');
  assert.equal(out(), '');
});

test('off means that nobody is ejected, also those that were', (context) => {
  const { attempts, update, out, of, picked, cluster } = service(context, 'abc');
  attempts('a', 5, '503');
  assert.equal(out(), 'a');
  update('abc', 'off');
  attempts('a', 50, '503');
  assert.deepEqual([out(), picked(), of('a').circuit, cluster.ejections], ['', 'abc', undefined, undefined]);
  const none = service(context, 'abc', { maxEjectedPercent: 0 });
  none.attempts('a', 50, '503');
  assert.equal(none.out(), '');
});

test('where there is a health check, an ejected endpoint must pass it before it is probed', (context) => {
  const { cluster, clock, attempts, update, stateOf, of } = service(context, 'abcd');
  const check: HealthCheck = { kind: 'tcp', target: '', everyMs: 600_000, timeoutMs: 1000 };
  update('abcd', {}, check);
  const found = (healthy: boolean) => {
    of('a').healthy = healthy;
    // As the check does.
    const checks = cluster as unknown as {
      checks: { onHealthChanged(endpoint: Endpoint, why: string): void };
    };
    checks.checks.onHealthChanged(of('a'), 'down');
  };
  attempts('a', 5, '503');
  found(false);
  clock.leap(60_000);
  assert.equal(stateOf('a'), 'open');
  assert.notEqual(cluster.pick(undefined), of('a'));
  found(true);
  assert.equal(stateOf('a'), 'half-open');
  assert.equal(cluster.pick(undefined), of('a'));
  found(false);
  assert.equal(stateOf('a'), 'open');
  assert.notEqual(cluster.pick(undefined), of('a'));
  found(true);
  assert.equal(cluster.pick(undefined), of('a'));
});

test('an endpoint that was ejected and unhealthy is not out for ever when it is no longer checked', (context) => {
  const { cluster, clock, attempts, update, stateOf, of } = service(context, 'abcd');
  update('abcd', {}, { kind: 'tcp', target: '', everyMs: 600_000, timeoutMs: 1000 });
  attempts('a', 5, '503');
  of('a').healthy = false;
  clock.leap(60_000);
  assert.equal(stateOf('a'), 'open');
  update('abcd');
  assert.equal(stateOf('a'), 'half-open');
  assert.equal(cluster.pick(undefined), of('a'));
});

test('requests to a service of which endpoints are ejected are told so, once each', (context) => {
  const { cluster, attempts, of } = service(context, 'abc');
  const before = exchangeFor();
  cluster.pick(before);
  assert.deepEqual(before.policies, []);
  attempts('a', 5, 'connect-failed');
  const exchange = exchangeFor();
  cluster.pick(exchange);
  cluster.pick(exchange, of('b'));
  assert.equal(exchange.policies.length, 1);
  const [note] = exchange.policies;
  assert.deepEqual([note?.policy, note?.decision], ['circuit-breaker', 'ejected']);
  assert.match(
    note?.detail ?? '',
    /^1 of 3 endpoints: a open, ejected for [56]\.\d s: 5 failures in a row \(connect-failed at .*\)$/,
  );
});
