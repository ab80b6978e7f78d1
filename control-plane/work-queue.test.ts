import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../test/fixture/wait.ts';
import { WorkQueue } from './work-queue.ts';

test('work of one key is never done twice at once, and again when it was asked for meanwhile', async () => {
  const running = new Map<string, number>();
  const done: string[] = [];
  const release: (() => void)[] = [];
  const queue = new WorkQueue({
    work: async (key) => {
      running.set(key, (running.get(key) ?? 0) + 1);
      assert.equal(running.get(key), 1);
      await new Promise<void>((resolve) => release.push(resolve));
      running.set(key, 0);
      done.push(key);
    },
    onFailure: (_, error) => assert.fail(String(error)),
  });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  queue.add('a');
  assert.equal(release.length, 2);
  for (const next of release.splice(0)) next();
  await until('the second time', () => release.length === 1);
  for (const next of release.splice(0)) next();
  await until('the end', () => done.length === 3);
  assert.deepEqual(done.toSorted(), ['a', 'a', 'b']);
  queue.close();
});

test('what fails is done again later, or at once when it is asked for', async () => {
  const failures: string[] = [];
  let right = false;
  let done = 0;
  const queue = new WorkQueue({
    work: async () => {
      if (!right) throw new Error('not yet');
      done++;
    },
    onFailure: (key) => void failures.push(key),
    backoffMs: 1,
  });
  queue.add('a');
  await until('three failures', () => failures.length >= 3);
  right = true;
  await until('its end', () => done === 1);
  right = false;
  const slow = new WorkQueue({
    work: async () => {
      if (!right) throw new Error('not yet');
      done++;
    },
    onFailure: () => void failures.push('slow'),
    backoffMs: 3_600_000,
  });
  slow.add('b');
  await until('its failure', () => failures.includes('slow'));
  assert.ok(slow.isDelayed('b'));
  right = true;
  slow.add('b');
  await until('its end', () => done === 2);
  queue.close();
  slow.close();
});
