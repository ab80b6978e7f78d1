import assert from 'node:assert/strict';
import { test } from 'node:test';
import { condition, problemWords, withTimes } from './conditions.ts';

const EARLY = '2026-01-01T00:00:00Z';
const LATE = new Date('2026-02-02T00:00:00.123Z');

test('the time stays where the status does, though reason, words and generation change', () => {
  const before = [{ ...condition('Accepted', 1, { reason: 'Accepted' }), lastTransitionTime: EARLY }];
  const same = condition('Accepted', 2, { reason: 'ListenersNotValid', message: 'some' });
  assert.deepEqual(withTimes([same], before, LATE), [{ ...same, lastTransitionTime: EARLY }]);
  const other = condition('Accepted', 2, { reason: 'Accepted' }, { reason: 'Invalid', message: '' });
  assert.deepEqual(withTimes([other], before, LATE), [
    { ...other, lastTransitionTime: '2026-02-02T00:00:00Z' },
  ]);
});

test('conditions of types that somebody else writes stay', () => {
  const theirs = { ...condition('Theirs', 1, { reason: 'Fine' }), lastTransitionTime: EARLY };
  const own = condition('Accepted', 1, { reason: 'Accepted' });
  assert.deepEqual(
    withTimes([own], [theirs], LATE).map(({ type }) => type),
    ['Accepted', 'Theirs'],
  );
  assert.equal(withTimes([own], undefined, LATE).length, 1);
});

test('words name field, value and what was meant, and are not endless', () => {
  const problem = {
    severity: 'error' as const,
    field: 'spec.port',
    value: '"x"',
    message: 'is no port',
    meant: 'write a number',
  };
  assert.equal(problemWords([problem]), 'spec.port: "x" is no port; write a number');
  assert.match(problemWords(Array.from({ length: 9 }, () => problem)), /and 4 more$/);
  assert.ok(problemWords([{ ...problem, message: 'x'.repeat(5_000) }]).length <= 1_024);
});
