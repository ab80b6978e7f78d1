import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QuotaGrant } from '../../protocol/quotas/messages.ts';
import type { Quota } from './account.ts';
import { type ToldQuotas, toldQuotas } from './told-link.fixture.ts';

type Answerer = () => Partial<QuotaGrant>;

test('who comes first waits for a draw, who comes after finds tokens at hand', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  const first = told.ask(quotas);
  const second = told.ask(quotas);
  assert.deepEqual([first.result, second.result], ['waits', 'waits']);
  told.pass();
  assert.deepEqual(told.items(), [
    { quota: 'shop/orders#token-bucket:1000:', subject: 'web', want: 2, back: 0 },
  ]);
  told.grant(() => ({ granted: 3 }));
  assert.deepEqual([first.result, second.result], ['admitted', 'admitted']);
  assert.equal(told.ask(quotas).result, 'admitted');
  assert.equal(told.ask(quotas).result, 'waits');
});

test('tokens end with their life, counted from before they were asked for', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  told.ask(quotas);
  told.pass(20);
  told.grant(() => ({ granted: 50, lifeMs: 100 }));
  told.pass(75);
  assert.equal(told.ask(quotas).result, 'admitted');
  told.pass(5);
  assert.equal(told.ask(quotas).result, 'waits');
});

test('an answer that comes after the life of its tokens gives none', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  const asked = told.ask(quotas);
  told.pass(25);
  told.grant(() => ({ granted: 50, lifeMs: 20 }));
  assert.equal(asked.result, 'waits');
});

test('more are drawn before none is left, as many as came lately', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('10000/s');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 20 }));
  for (let ms = 0; ms < 400; ms += 5) {
    for (let one = 0; one < 5; one++) assert.equal(told.ask(quotas).result, 'admitted', `after ${ms} ms`);
    told.pass(5);
    while (told.unanswered.length > 0) told.grant();
  }
  const draws = told.items().filter(({ want }) => want > 0);
  const last = draws.at(-1)?.want ?? 0;
  assert.ok(last > 30 && last < 65, `${last} beside what was at hand, for 80 ms of one request a ms`);
  assert.ok(draws.length < 20, `${draws.length} draws in 400 ms`);
});

/** `perStep` requests every 5 ms for `ms`, each draw answered at once by `answer`; how many were let in. */
function come(
  told: ToldQuotas,
  quotas: readonly Quota[],
  ms: number,
  perStep: number,
  answer?: Answerer,
): number {
  let admitted = 0;
  for (let at = 0; at < ms; at += 5) {
    for (let one = 0; one < perStep; one++) if (told.ask(quotas).result === 'admitted') admitted++;
    told.pass(5);
    while (told.unanswered.length > 0) told.grant(answer);
  }
  return admitted;
}

test('who got less than it wanted refuses what is beyond it, and asks again when it is worth it', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('10000/s');
  come(told, quotas, 200, 10);
  told.pass(200);
  told.items();
  const part = { granted: 20, retryAfterMs: 50 };
  come(told, quotas, 500, 10, () => part);
  const draws = told.items().filter(({ want }) => want > 0);
  assert.ok(draws.length >= 9 && draws.length <= 15, `${draws.length} draws in 500 ms`);
});

test('while a pause lasts nobody waits, and before it is over the next are drawn', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('10000/s');
  come(told, quotas, 200, 10);
  told.pass(200);
  while (told.unanswered.length > 0) told.grant();
  const waiting = Array.from({ length: 10 }, () => told.ask(quotas));
  told.pass();
  told.items();
  told.grant(() => ({ granted: 5, retryAfterMs: 20 }));
  assert.deepEqual(
    waiting.map(({ result }) => result),
    [...Array(5).fill('admitted'), ...Array(5).fill('refused')],
  );
  told.pass(5);
  assert.equal(told.ask(quotas).result, 'refused');
  told.pass();
  assert.deepEqual(told.items(), []);
  told.pass(5);
  for (let one = 0; one < 10; one++) assert.equal(told.ask(quotas).result, 'refused');
  told.pass();
  assert.equal(told.items().length, 1);
  told.grant();
  assert.equal(told.ask(quotas).result, 'admitted');
});

test('when many came and then nobody comes, all is given back soon', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('10000/s');
  come(told, quotas, 400, 10);
  const held = quotas[0]?.held() ?? 0;
  assert.ok(held > 50, `${held} were held`);
  told.items();
  told.pass(50);
  assert.equal(quotas[0]?.held(), 0);
  assert.equal(
    told.items().reduce((sum, { back }) => sum + back, 0),
    held,
  );
});

test('a subject that comes now and then draws nothing ahead', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  for (let one = 0; one < 5; one++) {
    told.ask(quotas);
    told.pass();
    told.grant();
    told.pass(300);
  }
  assert.deepEqual(
    told.items().map(({ want, back }) => [want, back]),
    Array(5).fill([1, 0]),
  );
});

test('what is not needed is given back while it lives, once', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  told.ask(quotas);
  told.pass();
  told.items();
  told.grant(() => ({ granted: 40, lifeMs: 100 }));
  told.pass(70);
  const items = told.items();
  assert.equal(items[0]?.want, 0);
  assert.ok((items[0]?.back ?? 0) >= 37, JSON.stringify(items));
  while (told.unanswered.length > 0) told.grant();
  told.pass(500);
  const returned = [...items, ...told.items()].reduce((sum, { back }) => sum + back, 0);
  assert.equal(returned, 39);
});

test('nothing is given back while an answer for the same subject is out', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 8, lifeMs: 100 }));
  for (let one = 0; one < 6; one++) told.ask(quotas);
  told.pass();
  told.items();
  told.reply({ type: 'changed', quota: quotas[0]?.id ?? '', tokens: 5, perMs: 1000, burst: 5 });
  told.pass(10);
  assert.deepEqual(told.items(), []);
  told.grant(() => ({ granted: 0 }));
  told.pass();
  assert.deepEqual(
    told.items().map(({ back }) => back),
    [1],
  );
});

test('a refused subject is refused here until there may be one, and the store is not asked before', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1/s');
  const first = told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 0, retryAfterMs: 400 }));
  assert.equal(first.result, 'refused');
  assert.equal(first.refusedBy?.retryAfterMs(told.now()), 400);
  told.items();
  told.pass(300);
  assert.equal(told.ask(quotas).result, 'refused');
  assert.equal(told.ask(quotas, 'other').result, 'waits');
  told.pass(0);
  assert.deepEqual(
    told.items().map(({ subject }) => subject),
    ['other'],
  );
  told.grant();
  told.pass(100);
  assert.equal(told.ask(quotas).result, 'waits');
});

test('several limits at once: nothing is taken of one while another has none', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s; 2/m');
  told.ask(quotas);
  told.pass();
  told.grant(({ quota }) => (quota.includes(':60000:') ? { granted: 1 } : { granted: 5 }));
  assert.equal(quotas[0]?.held(), 4);
  const refused = told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 0, retryAfterMs: 30_000 }));
  assert.equal(refused.result, 'refused');
  assert.equal(refused.refusedBy?.quota, quotas[1]);
  assert.equal(told.ask(quotas).result, 'refused');
  assert.equal(quotas[0]?.held(), 4);
});

test('several limits at once: what was asked for is asked for once, of each', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s; window 10000/m; concurrent 50');
  for (let round = 0; round < 3; round++) {
    const asked = told.ask(quotas);
    told.pass();
    while (told.unanswered.length > 0) told.grant();
    assert.equal(asked.result, 'admitted');
    for (const account of asked.accounts) account.release(told.now());
    for (let ms = 0; ms < 500; ms += 25) {
      told.pass(25);
      while (told.unanswered.length > 0) told.grant();
    }
    told.items();
    told.pass(500);
    assert.deepEqual(told.items(), [], 'nobody came meanwhile');
    assert.deepEqual(
      quotas.map((quota) => quota.held()),
      [0, 0, 0],
    );
  }
});

test('a changed quota: what is held of the old is given up at once', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 50 }));
  told.items();
  told.reply({ type: 'changed', quota: quotas[0]?.id ?? '', tokens: 5, perMs: 1000, burst: 5 });
  assert.equal(quotas[0]?.held(), 0);
  assert.equal(told.ask(quotas).result, 'waits');
  told.pass();
  assert.deepEqual(
    told.items().map(({ want, back }) => [want >= 1, back]),
    [[true, 49]],
  );
});

test('a changed quota: who was refused by the old numbers is asked for again', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('10/d');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 0, retryAfterMs: 8_000_000 }));
  assert.equal(told.ask(quotas).result, 'refused');
  told.reply({ type: 'changed', quota: quotas[0]?.id ?? '', tokens: 500, perMs: 86_400_000, burst: 500 });
  assert.equal(told.ask(quotas).result, 'waits');
  told.pass();
  told.grant(() => ({ granted: 0, retryAfterMs: 8_000_000 }));
  assert.equal(told.ask(told.quotas('1000/d')).result, 'waits');
});

test('what was drawn over a link that broke is used, but not given back over the next one', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 50 }));
  told.items();
  told.setOpen(false);
  told.setOpen(true);
  assert.equal(told.ask(quotas).result, 'admitted');
  told.pass(300);
  assert.deepEqual(
    told.items().filter(({ back }) => back > 0),
    [],
  );
});

test('who waits when the link breaks is asked for again over the next one', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  const asked = told.ask(quotas);
  told.pass();
  told.setOpen(false);
  told.pass(10);
  told.setOpen(true);
  told.pass();
  told.grant();
  assert.equal(asked.result, 'admitted');
});

test('a client that is gone uses nothing up', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s');
  const gone = told.ask(quotas);
  told.pass();
  gone.cancel();
  told.grant();
  assert.equal(gone.result, 'waits');
  assert.equal(quotas[0]?.held(), 1);
});

test('exact: each request is asked for by itself, and what is not taken goes back', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s exact; window 5/h exact');
  const [first, second] = [told.ask(quotas), told.ask(quotas)];
  told.pass();
  assert.deepEqual(
    told.sent.map(({ exact, items }) => [exact, items.length]),
    [
      [true, 2],
      [true, 2],
    ],
  );
  second.cancel();
  told.grant(() => ({ granted: 1, lifeMs: 0 }));
  told.items();
  told.grant(() => ({ granted: 1, lifeMs: 0 }));
  assert.deepEqual([first.result, second.result], ['admitted', 'waits']);
  told.pass();
  assert.deepEqual(
    told.items().map(({ want, back }) => [want, back]),
    [
      [0, 1],
      [0, 1],
    ],
  );
  assert.equal(told.ask(quotas).result, 'waits');
});

test('exact: a caller that has used up its quota keeps nobody from another that all share', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s by client exact; 1000/s exact');
  const refused = told.ask(quotas);
  told.pass();
  told.grant(({ quota }) => ({ granted: 0, retryAfterMs: quota.endsWith(':client') ? 10 : 0 }));
  assert.equal(refused.result, 'refused');
  assert.equal(refused.refusedBy?.quota, quotas[0]);
  assert.equal(told.ask(quotas.slice(0, 1)).result, 'refused');
  assert.equal(told.ask(quotas.slice(1)).result, 'waits');
});

test('exact: what was granted before a process stood still is not used after it', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s exact');
  const asked = told.ask(quotas);
  told.pass();
  const late = context.mock.method(performance, 'now', () => told.now() + 60);
  told.grant(() => ({ granted: 1, lifeMs: 0 }));
  late.mock.restore();
  assert.equal(asked.result, 'waits');
  told.pass(50);
  assert.equal(asked.result, 'refused');
});

test('exact: no more messages are out at once than a control plane takes', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1000/s exact');
  const asked = Array.from({ length: 100 }, () => told.ask(quotas));
  told.pass();
  assert.equal(told.unanswered.length, 48);
  while (told.unanswered.length > 0) {
    told.grant(() => ({ granted: 1, lifeMs: 0 }));
    told.pass();
  }
  assert.ok(asked.every(({ result }) => result === 'admitted'));
});

test('a quota that the store serves one request at a time becomes exact', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('1/s');
  const first = told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 1, lifeMs: 0 }));
  assert.equal(first.result, 'admitted');
  told.ask(quotas);
  told.pass();
  assert.equal(told.sent.at(-1)?.exact, true);
});
