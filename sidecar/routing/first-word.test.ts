import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { FirstWord } from './first-word.ts';

/** Timers and clock of the test's own. */
function timed(context: TestContext) {
  const clock = leapingClock(context);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const first = new FirstWord();
  return {
    first,
    pass(ms: number) {
      clock.leap(ms);
      context.mock.timers.tick(ms);
    },
  };
}

test('all who wait go on when the word comes, in their order and once', (context) => {
  const { first, pass } = timed(context);
  const went: string[] = [];
  first.wait(() => went.push('a'));
  first.wait(() => went.push('b'));
  pass(2_000);
  assert.deepEqual(went, []);
  first.wake();
  assert.deepEqual(went, ['a', 'b']);
  first.wake();
  pass(10_000);
  assert.deepEqual(went, ['a', 'b']);
});

test('who waits in vain goes on after three seconds, each by its own time', (context) => {
  const { first, pass } = timed(context);
  const went: string[] = [];
  first.wait(() => went.push('a'));
  pass(1_000);
  first.wait(() => went.push('b'));
  pass(2_000);
  assert.deepEqual(went, []);
  pass(1);
  assert.deepEqual(went, ['a']);
  pass(1_000);
  assert.deepEqual(went, ['a', 'b']);
  first.wake();
  assert.deepEqual(went, ['a', 'b']);
});

test('who gave up does not go on, neither by the word nor by time', (context) => {
  const { first, pass } = timed(context);
  const went: string[] = [];
  const cancel = first.wait(() => went.push('a'));
  first.wait(() => went.push('b'));
  cancel();
  cancel();
  first.wake();
  pass(10_000);
  assert.deepEqual(went, ['b']);
});

test('who begins to wait while others are woken waits for the next word', (context) => {
  const { first } = timed(context);
  const went: string[] = [];
  first.wait(() => {
    went.push('a');
    first.wait(() => went.push('again'));
  });
  first.wake();
  assert.deepEqual(went, ['a']);
  first.wake();
  assert.deepEqual(went, ['a', 'again']);
});

test('only who asks in the first three seconds waits: a control plane that is away must not hold up all', (context) => {
  const { first, pass } = timed(context);
  assert.equal(first.mayCome, true);
  pass(2_900);
  assert.equal(first.mayCome, true);
  assert.ok(first.ageMs >= 2_900);
  pass(200);
  assert.equal(first.mayCome, false);
});

test('who is cancelled by another that goes on is not called any more', (context) => {
  const { first } = timed(context);
  const went: string[] = [];
  first.wait(() => {
    went.push('a');
    cancel();
  });
  const cancel = first.wait(() => went.push('b'));
  first.wake();
  assert.deepEqual(went, ['a']);
});
