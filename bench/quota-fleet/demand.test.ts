import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Demand, demandOf } from './demand.ts';

test('whatever its shape, all sidecars together get what a demand says', () => {
  for (const shape of ['equal', 'zipf', 'bursts', 'hot-spot'] satisfies Demand['shape'][]) {
    let total = 0;
    for (let ms = 0; ms < 3_000; ms++)
      for (let index = 0; index < 50; index++)
        total += demandOf({ shape, perSecond: 1_000 }, index, 50, ms) / 1000;
    assert.ok(Math.abs(total - 3_000) < 1e-6, `${shape}: ${total}`);
  }
});
