import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { limitsOf } from '../../protocol/quotas/limits.fixture.ts';
import { OutageShare } from './outage-share.ts';
import { toldQuotas } from './told-link.fixture.ts';

const AWAY = { type: 'outage', detail: 'Redis does not answer' } as const;

/** A quota of which tokens were drawn, and whose store went away just now. */
function lost(context: TestContext, limit: string) {
  const told = toldQuotas(context);
  const quotas = told.quotas(limit);
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 1, sharers: 2, remaining: 10, resetMs: 1000 }));
  const asked = told.ask(quotas);
  told.pass();
  told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1 });
  return { told, quotas, asked };
}

/** How many of so many requests a ms are let in. */
function admitted({ told, quotas }: ReturnType<typeof lost>, ms: number): number {
  let count = 0;
  for (let at = 0; at < ms; at += 5) {
    told.pass(5);
    for (let one = 0; one < 5; one++) if (told.ask(quotas).result === 'admitted') count++;
    while (told.unanswered.length > 0) told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1 });
  }
  return count;
}

test('allow: all are let in while the store is away', (context) => {
  const { told, quotas, asked } = lost(context, '2/s on-outage allow');
  assert.equal(asked.result, 'admitted');
  for (let one = 0; one < 50; one++) assert.equal(told.ask(quotas).result, 'admitted');
});

test('deny: nobody is', (context) => {
  const { told, quotas, asked } = lost(context, '2/s on-outage deny');
  assert.equal(asked.result, 'refused');
  assert.equal(asked.refusedBy?.outage, 'Redis does not answer');
  assert.equal(told.ask(quotas).result, 'refused');
});

test('an outage that goes on is told by the newest reason', (context) => {
  const { told, quotas } = lost(context, '2/s on-outage deny');
  told.pass(300);
  told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1, detail: 'Redis: WRONGPASS' });
  assert.equal(told.ask(quotas).refusedBy?.outage, 'Redis: WRONGPASS');
});

test('share: nobody until others count this sidecar as away, then its part of the quota, with nothing saved up', (context) => {
  const gone = lost(context, '100/s burst 40');
  assert.equal(gone.asked.result, 'refused');
  assert.equal(admitted(gone, 1400), 0);
  const within = admitted(gone, 1100);
  assert.ok(within >= 48 && within <= 50, `${within} in a second at 50/s`);
});

test('share: as long as it is in use, and before it begins, each draw says so, so that the store sets it aside, and none after an answer', (context) => {
  const gone = lost(context, '100/s burst 40');
  const { told, quotas } = gone;
  const said = () => told.sent.map(({ sharing }) => sharing === true);
  admitted(gone, 590);
  assert.ok(said().length > 2 && !said().includes(true), 'until then the store would notice by itself');
  admitted(gone, 500);
  assert.equal(said().at(-1), true);
  const before = said().length;
  admitted(gone, 600);
  assert.ok(said().length > before);
  assert.equal(said().at(-1), true);
  told.pass(300);
  assert.equal(told.unanswered.length, 1);
  told.grant(() => ({ granted: 0, sharers: 2 }));
  told.ask(quotas);
  told.pass(50);
  told.ask(quotas);
  told.pass();
  assert.equal(said().at(-1), false);
});

test('share: a quota that is no more while its store is away says nothing of those that took its place', (context) => {
  const gone = lost(context, '100/s burst 40');
  const { told } = gone;
  admitted(gone, 2_000);
  const instead = told.quotas('window 100/s');
  told.pass(10_000);
  while (told.unanswered.length > 0) told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1 });
  told.ask(instead);
  told.pass();
  assert.deepEqual(told.sent.at(-1)?.items[0]?.quota, instead[0]?.id);
  assert.equal(told.sent.at(-1)?.sharing, undefined);
});

test('share: who was never told how many share lets in nobody', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s');
  const asked = told.ask(quotas);
  told.pass();
  told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1 });
  assert.equal(asked.result, 'refused');
  assert.equal(admitted({ told, quotas, asked }, 3000), 0);
});

test('a silent store: nobody waits longer than 50 ms', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s on-outage allow');
  const asked = told.ask(quotas);
  told.pass(25);
  assert.equal(asked.result, 'waits');
  told.pass(10);
  assert.equal(asked.result, 'admitted');
  assert.match(asked.accounts[0]?.outage ?? '', /did not answer within 30 ms/);
  assert.equal(told.ask(quotas).result, 'admitted');
});

test('no link: who waits is decided after the same time, and asked for when it opens', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s on-outage deny');
  told.setOpen(false);
  const asked = told.ask(quotas);
  told.pass(45);
  assert.equal(asked.result, 'refused');
  told.setOpen(true);
  told.pass(300);
  told.grant();
  told.ask(quotas);
  told.pass();
  told.grant();
  assert.equal(told.ask(quotas).accounts[0]?.outage, '');
});

test('a store that was late once is asked again at once, and who comes then finds what it has', (context) => {
  const { told, quotas } = lost(context, '100/s on-outage deny');
  assert.equal(told.ask(quotas).result, 'refused');
  assert.equal(told.unanswered.length, 1);
  told.grant(() => ({ granted: 2 }));
  assert.equal(told.ask(quotas).accounts[0]?.outage, '');
});

test('it is asked again and again whether it is back, and all is as before within 2 s', (context) => {
  const gone = lost(context, '100/s on-outage deny');
  const { told, quotas } = gone;
  told.items();
  assert.equal(admitted(gone, 1000), 0);
  const probes = told.items().length;
  assert.ok(probes >= 4 && probes <= 6, `${probes} probes in a second`);
  told.ask(quotas);
  told.pass(300);
  while (told.unanswered.length > 0) told.grant();
  const asked = told.ask(quotas);
  told.pass();
  told.grant();
  assert.equal(asked.result, 'admitted');
});

test('a quota that was never asked for, since another had to be asked first, is asked whether it is back too', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s exact; concurrent 5');
  told.setOpen(false);
  told.ask(quotas);
  told.pass(45);
  told.ask(quotas);
  told.setOpen(true);
  told.pass(300);
  while (told.unanswered.length > 0) told.grant(({ want }) => ({ granted: want, lifeMs: 5000 }));
  assert.deepEqual(
    told.ask(quotas).accounts.map(({ outage }) => outage),
    ['', ''],
  );
});

test('who asks while many wait is refused in time too, though the store answers', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s exact');
  const asked = Array.from({ length: 60 }, () => told.ask(quotas));
  for (let one = 0; one < 8; one++) {
    told.pass(5);
    if (one < 4) told.grant(() => ({ granted: 1, lifeMs: 0 }));
  }
  told.pass(10);
  assert.ok(asked.every(({ result }) => result !== 'waits'));
});

test('shares of a bucket are no more than the bucket', () => {
  const [limit] = limitsOf('100/s burst 30');
  assert.ok(limit);
  const shares = Array.from(
    { length: 3 },
    () => new OutageShare(limit, { sharers: 3, remaining: 99, resetMs: 0 }, 0),
  );
  const times: number[] = [];
  for (let ms = 0; ms <= 5000; ms++) {
    for (const share of shares)
      while (share.has(ms)) {
        share.take();
        times.push(ms);
      }
  }
  for (const [from, start] of times.entries()) {
    for (const windowMs of [1, 100, 1000]) {
      const inWindow = times.slice(from).filter((time) => time < start + windowMs).length;
      assert.ok(inWindow <= 30 + windowMs / 10, `${inWindow} in ${windowMs} ms`);
    }
  }
  assert.ok(times.length > 450, String(times.length));
});

test('a share of less than one token at once lets in nobody: together they would be more than the burst', () => {
  const [limit] = limitsOf('100/s burst 2');
  assert.ok(limit);
  const share = new OutageShare(limit, { sharers: 3, remaining: 2, resetMs: 0 }, 0);
  assert.equal(share.has(60_000), false);
  assert.equal(share.nextMs(60_000), Number.POSITIVE_INFINITY);
});

test('shares of a window: first of what was left, then never more than the window', () => {
  const [limit] = limitsOf('window 60/m');
  assert.ok(limit);
  const shares = Array.from(
    { length: 2 },
    () => new OutageShare(limit, { sharers: 2, remaining: 10, resetMs: 60_000 }, 0),
  );
  const times: number[] = [];
  for (let ms = 0; ms <= 400_000; ms += 100) {
    for (const share of shares)
      while (share.has(ms)) {
        share.take();
        times.push(ms);
      }
  }
  assert.equal(times.filter((time) => time < 60_000).length, 10);
  for (const [from, start] of times.entries()) {
    const inWindow = times.slice(from).filter((time) => time < start + 60_000).length;
    assert.ok(inWindow <= 60, `${inWindow} from ${start}`);
  }
  assert.ok(times.length > 300, String(times.length));
});

test('who drew before and draws nothing now says to the next control plane that it is there', (context) => {
  const told = toldQuotas(context);
  const quotas = told.quotas('100/s');
  told.ask(quotas);
  told.pass();
  told.grant(() => ({ granted: 1, sharers: 3 }));
  told.quotas('100/s', 'shop/never-asked');
  told.pass(10_000);
  told.setOpen(false);
  told.setOpen(true);
  told.pass();
  const { items, sharers, sharing } = told.sent.at(-1) ?? {};
  assert.equal(told.sent.length, 2);
  assert.deepEqual([items, sharers, sharing], [[{ ...items?.[0], want: 0, back: 0 }], 3, undefined]);
  told.reply({ ...AWAY, id: told.unanswered.shift() ?? -1 });
  assert.equal(told.ask(quotas).result, 'waits', 'it was asked for nothing');
});

test('who drew on many services before says so to the next control plane, no more at once than it takes', (context) => {
  const told = toldQuotas(context);
  for (let at = 0; at < 100; at++) {
    told.ask(told.quotas('100/s', `shop/${at}`));
    told.pass();
    told.grant();
  }
  told.pass(1_000);
  while (told.unanswered.length > 0) told.grant();
  told.items();
  told.setOpen(false);
  told.setOpen(true);
  assert.ok(told.unanswered.length <= 48, `${told.unanswered.length} at once`);
  while (told.unanswered.length > 0) {
    told.grant();
    told.pass();
  }
  assert.equal(new Set(told.items().map(({ quota }) => quota)).size, 100);
});

test('what was told of one quota is said with each draw on the service: a store that forgot must know of this share', (context) => {
  const told = toldQuotas(context);
  const [first, second] = told.quotas('100/s; 200/s').map((quota) => [quota]);
  assert.ok(first !== undefined && second !== undefined);
  told.ask(first);
  told.pass();
  told.grant(() => ({ granted: 1, sharers: 3 }));
  told.ask(second);
  told.pass();
  const elsewhere = told.quotas('100/s', 'shop/other');
  told.ask(elsewhere);
  told.pass();
  assert.deepEqual(
    told.sent.map(({ sharers }) => sharers),
    [undefined, 3, undefined],
  );
});
