import assert from 'node:assert/strict';
import { test } from 'node:test';
import { container, flag, injected, named, podOf, SHOP } from './pod.fixture.ts';
import { termination } from './termination.ts';

const NOW = { major: 1, minor: 36 };

function times(grace: number | undefined, cluster = NOW) {
  const spec = grace === undefined ? {} : { terminationGracePeriodSeconds: grace };
  const { sleepSeconds, drainSeconds } = termination(podOf(spec), cluster);
  return [sleepSeconds, drainSeconds];
}

test('a quarter of the grace period, at most 5 s, before anything stops; the rest but a second is for the drain', () => {
  assert.deepEqual(times(undefined), [5, 24]);
  assert.deepEqual(times(30), [5, 24]);
  assert.deepEqual(times(600), [5, 594]);
  assert.deepEqual(times(10), [2, 7]);
  assert.deepEqual(times(4), [1, 2]);
});

test('a grace period under 4 s leaves nothing to wait in, and none at all is no drain of 0', () => {
  assert.deepEqual(times(3), [0, 2]);
  assert.deepEqual(times(1), [0, 1]);
  assert.deepEqual(times(0), [0, 1]);
});

test('a cluster older than 1.30 has no sleep action', () => {
  assert.deepEqual(times(30, { major: 1, minor: 29 }), [0, 29]);
  const { pod } = injected(podOf(), SHOP, { cluster: { major: 1, minor: 29 } });
  assert.equal(named(pod, 'web').lifecycle, undefined);
});

test('a preStop of the application stays, and what it sleeps is not there for the drain', () => {
  const lifecycle = { preStop: { sleep: { seconds: 20 } }, postStart: { exec: { command: ['true'] } } };
  const containers = [
    container({ lifecycle }),
    container({ name: 'b', lifecycle: { postStart: lifecycle.postStart } }),
  ];
  const { pod } = injected(podOf({ containers }));
  assert.deepEqual(named(pod, 'web').lifecycle, lifecycle);
  assert.deepEqual(named(pod, 'b').lifecycle, {
    postStart: lifecycle.postStart,
    preStop: { sleep: { seconds: 5 } },
  });
  assert.equal(flag(pod, 'drain'), '9s');
  const long = podOf({ terminationGracePeriodSeconds: 10, containers: [container({ lifecycle })] });
  assert.equal(termination(long, NOW).drainSeconds, 1);
});

test('init containers get no preStop: the API server allows them none', () => {
  const { pod } = injected(podOf({ initContainers: [container({ name: 'i' })] }));
  assert.equal(named(pod, 'i').lifecycle, undefined);
});
