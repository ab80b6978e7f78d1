import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetryBudget } from './retry-budget.ts';

test('a share of the requests, and a number each second on top', () => {
  assert.deepEqual(parseRetryBudget('20% + 10/s'), { retryBudget: { ratio: 0.2, perSecond: 10 } });
  assert.deepEqual(parseRetryBudget(' 12.5 %+3 / s '), { retryBudget: { ratio: 0.125, perSecond: 3 } });
  assert.deepEqual(parseRetryBudget('100%'), { retryBudget: { ratio: 1, perSecond: 0 } });
  assert.deepEqual(parseRetryBudget('0%'), { retryBudget: { ratio: 0, perSecond: 0 } });
});

test('shares above all requests, negative ones and other units are refused', () => {
  for (const text of [
    '',
    '20',
    '101%',
    '100.1%',
    '-5%',
    '20% + 10',
    '20% + 10/m',
    '20% - 1/s',
    '+ 10/s',
    '% + 1/s',
  ]) {
    assert.deepEqual(
      parseRetryBudget(text),
      { wrong: 'is not a retry budget', meant: 'write PERCENT% + COUNT/s, like "20% + 10/s"' },
      text,
    );
  }
});
