import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { createEndpointLoad } from './endpoint-load.ts';
import { TwoChoices } from './two-choices.ts';

const ROUNDS = 20_000;

function endpointsOf(...weights: number[]) {
  return weights.map((weight, index) => createEndpointLoad(`e${index}`, weight));
}

/** A source of chance that says what it is told, in order. */
function scripted(...values: number[]): () => number {
  let at = 0;
  return () => values[at++] ?? assert.fail('more chance than was expected');
}

for (const count of [2, 3, 7]) {
  test(`of ${count} equal endpoints two different ones are drawn, every pair as often as any other`, () => {
    const endpoints = endpointsOf(...Array.from({ length: count }, () => 4));
    const choices = new TwoChoices(seeded(count));
    const pairs = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      choices.draw(endpoints, undefined);
      assert.notEqual(choices.first, choices.second);
      const pair = `${choices.first} ${choices.second}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    assert.equal(pairs.size, count * (count - 1));
    const fair = ROUNDS / pairs.size;
    for (const [pair, times] of pairs)
      assert.ok(Math.abs(times - fair) < 5 * Math.sqrt(fair), `${pair}: ${times}`);
    assert.equal(choices.mean, 4);
  });

  test(`of ${count} equal endpoints the one to avoid is never drawn, whatever chance says`, () => {
    const endpoints = endpointsOf(...Array.from({ length: count }, () => 1));
    for (const avoid of endpoints) {
      for (let a = 0; a < count; a++) {
        for (let b = 0; b < count - 1; b++) {
          const choices = new TwoChoices(scripted((a + 0.5) / count, (b + 0.5) / (count - 1)));
          choices.draw(endpoints, avoid);
          assert.notEqual(endpoints[choices.first], avoid);
          assert.notEqual(endpoints[choices.second], avoid);
          if (count > 2) assert.notEqual(choices.first, choices.second);
        }
      }
    }
  });
}

test('chance at its very ends draws an endpoint that there is', () => {
  const endpoints = endpointsOf(1, 1, 1);
  for (const [a, b] of [
    [0, 0],
    [0, 1 - 2 ** -53],
    [1 - 2 ** -53, 0],
    [1 - 2 ** -53, 1 - 2 ** -53],
  ] as const) {
    const choices = new TwoChoices(scripted(a, b));
    choices.draw(endpoints, undefined);
    assert.ok(endpoints[choices.first] !== undefined && endpoints[choices.second] !== undefined);
  }
});

test('of unequal endpoints each choice is by weight, perhaps the same twice', () => {
  const endpoints = endpointsOf(1, 3);
  const choices = new TwoChoices(seeded(9));
  let firstHeavy = 0;
  let secondHeavy = 0;
  let same = 0;
  for (let round = 0; round < ROUNDS; round++) {
    choices.draw(endpoints, undefined);
    firstHeavy += choices.first;
    secondHeavy += choices.second;
    if (choices.first === choices.second) same++;
  }
  assert.ok(Math.abs(firstHeavy / ROUNDS - 0.75) < 0.02, `${firstHeavy}`);
  assert.ok(Math.abs(secondHeavy / ROUNDS - 0.75) < 0.02, `${secondHeavy}`);
  assert.ok(Math.abs(same / ROUNDS - 0.625) < 0.02, `${same}`);
  assert.equal(choices.mean, 2);
});

test('of unequal endpoints the one to avoid is not drawn, however heavy', () => {
  const endpoints = endpointsOf(1000, 1, 1);
  const choices = new TwoChoices(seeded(2));
  for (let round = 0; round < 2_000; round++) {
    choices.draw(endpoints, endpoints[0]);
    assert.ok(choices.first !== 0 && choices.second !== 0);
  }
});

test('one to avoid that is none of them changes nothing', () => {
  const endpoints = endpointsOf(1, 1, 1);
  const [plain, avoiding] = [new TwoChoices(seeded(5)), new TwoChoices(seeded(5))];
  for (let round = 0; round < 200; round++) {
    plain.draw(endpoints, undefined);
    avoiding.draw(endpoints, createEndpointLoad('gone'));
    assert.deepEqual([plain.first, plain.second], [avoiding.first, avoiding.second]);
  }
});

test('a new array brings its weights into force', () => {
  const choices = new TwoChoices(seeded(6));
  choices.draw(endpointsOf(1, 1), undefined);
  assert.equal(choices.mean, 1);
  choices.draw(endpointsOf(2, 8), undefined);
  assert.equal(choices.mean, 5);
});
