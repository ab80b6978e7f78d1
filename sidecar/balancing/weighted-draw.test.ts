import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { createEndpointLoad } from './endpoint-load.ts';
import { WeightedDraw } from './weighted-draw.ts';

const DRAWS = 100_000;

for (const weights of [
  [1, 1],
  [1, 9],
  [0, 1, 3],
  [1, 2, 3, 4, 90],
  [1000, 1],
  [0.5, 0.25, 0.25],
]) {
  test(`draws follow the weights ${weights.join(':')}`, () => {
    const draw = new WeightedDraw(seeded(1));
    draw.prepare(weights.map((weight, index) => createEndpointLoad(`e${index}`, weight)));
    const counts = weights.map(() => 0);
    for (let i = 0; i < DRAWS; i++) {
      const index = draw.draw();
      counts[index] = (counts[index] ?? 0) + 1;
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      const wanted = (DRAWS * weight) / total;
      // Five standard deviations.
      assert.ok(Math.abs((counts[index] ?? 0) - wanted) <= 5 * Math.sqrt(wanted), `${counts} for ${weights}`);
    }
  });
}

test('weights of 0 alone draw evenly, and never outside', () => {
  const draw = new WeightedDraw(seeded(2));
  draw.prepare([createEndpointLoad('a', 0), createEndpointLoad('b', 0)]);
  const drawn = new Set(Array.from({ length: 100 }, () => draw.draw()));
  assert.deepEqual([...drawn].sort(), [0, 1]);
});
