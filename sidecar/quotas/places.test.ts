import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toldQuotas } from './told-link.fixture.ts';

const LIFE = { lifeMs: 3000 };

test('a place is held while a request is under way, and used again by the next', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('concurrent 5');
  const first = told.ask(quotas);
  told.pass();
  assert.deepEqual(
    told.items().map(({ want }) => want),
    [1],
  );
  told.grant(() => ({ granted: 1, ...LIFE }));
  assert.equal(first.result, 'admitted');
  first.accounts[0]?.release(told.now());
  assert.equal(told.ask(quotas).result, 'admitted');
  assert.equal(told.ask(quotas).result, 'waits');
  told.pass();
  assert.deepEqual(
    told.items().map(({ want }) => want),
    [2],
  );
});

test('when there are no more places, requests are refused', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('concurrent 2');
  const asked = [told.ask(quotas), told.ask(quotas), told.ask(quotas)];
  told.pass();
  told.grant(() => ({ granted: 2, ...LIFE }));
  told.pass();
  told.grant(() => ({ granted: 2, ...LIFE }));
  told.pass(45);
  assert.deepEqual(
    asked.map(({ result }) => result),
    ['admitted', 'admitted', 'refused'],
  );
});

test('places are renewed while they are in use, and given up when nobody needs them', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('concurrent 5');
  const asked = told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 1, ...LIFE }));
  told.items();
  told.pass(1100);
  assert.deepEqual(
    told.items().map(({ want }) => want),
    [1],
  );
  told.grant(() => ({ granted: 1, ...LIFE }));
  asked.accounts[0]?.release(told.now());
  told.pass(300);
  assert.deepEqual(
    told.items().map(({ want }) => want),
    [0],
  );
  told.grant(() => ({ granted: 0, ...LIFE }));
  assert.equal(quotas[0]?.held(), 0);
});

test('places that the store has not heard of for their life are used by nobody', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('concurrent 5 on-outage deny');
  told.ask(quotas);
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 3, ...LIFE }));
  assert.equal(told.ask(quotas).result, 'admitted');
  told.setOpen(false);
  told.pass(3100);
  assert.equal(told.ask(quotas).result, 'waits');
});

test('share: while the store is away, as many at once as is the share', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('concurrent 7');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 1, sharers: 2, ...LIFE }));
  told.ask(quotas);
  told.pass();
  told.reply({ type: 'outage', id: told.unanswered.shift() ?? -1, detail: 'away' });
  told.pass(1600);
  const results = Array.from({ length: 4 }, () => told.ask(quotas).result);
  // One is under way since before.
  assert.deepEqual(results, ['admitted', 'admitted', 'refused', 'refused']);
});
