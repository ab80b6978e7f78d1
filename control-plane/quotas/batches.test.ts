import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Batches } from './batches.ts';

function gathering(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: string[] = [];
  const batches = new Batches<string>((key, batch) => void sent.push(`${key}:${batch.join('')}`));
  return {
    batches,
    sent: () => sent.splice(0),
    pass: (ms: number) => context.mock.timers.tick(ms),
  };
}

test('who comes first is sent at once, who comes soon after goes together, each key apart', (context) => {
  const { batches, sent, pass } = gathering(context);
  for (const one of ['a', 'b', 'c']) batches.add('x', one, 1);
  batches.add('y', 'd', 1);
  assert.deepEqual(sent(), ['x:a', 'y:d']);
  pass(4);
  assert.deepEqual(sent(), ['x:bc']);
  batches.add('x', 'e', 1);
  batches.add('y', 'f', 1);
  assert.deepEqual(sent(), ['y:f']);
  pass(4);
  assert.deepEqual(sent(), ['x:e']);
  pass(8);
  batches.add('x', 'g', 1);
  assert.deepEqual(sent(), ['x:g']);
  batches.close();
});

test('much is sent before its time', (context) => {
  const { batches, sent, pass } = gathering(context);
  batches.add('x', 'a', 1);
  batches.add('x', 'b', 500);
  batches.add('x', 'c', 12);
  batches.add('x', 'd', 1);
  assert.deepEqual(sent(), ['x:a', 'x:bc']);
  pass(4);
  assert.deepEqual(sent(), ['x:d']);
  assert.deepEqual(batches.close(), []);
});

test('what waits when it is closed comes back', (context) => {
  const { batches } = gathering(context);
  batches.add('x', 'a', 1);
  batches.add('x', 'b', 1);
  assert.deepEqual(batches.close(), ['b']);
});
