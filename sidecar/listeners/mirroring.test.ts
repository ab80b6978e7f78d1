import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Mirror } from '../routing/mirrors.ts';
import { MirrorCounts } from '../telemetry/mirror-counts.ts';
import { Mirroring } from './mirroring.ts';

const KIB_64 = Buffer.alloc(64 * 1024);

function mirror(service: string, share = 1): Mirror {
  return {
    service,
    share,
    backend: () => ({ status: 503, code: 'no-service', detail: '' }),
    retryBudget: () => new RetryBudget(),
  };
}

function mirroring(context: TestContext, random?: () => number) {
  const counts = new MirrorCounts();
  const { wheel } = leapingClock(context);
  return {
    counts,
    mirrors: new Mirroring({ limits: DEFAULT_LIMITS, wheel, counts, ...(random && { random }) }),
  };
}

const upload = () => exchangeFor('/', ['Content-Length: 262144'], { method: 'PUT' });

test('a share of requests is copied, each mirror by its own chance', (context) => {
  const chances = [0.1, 0.3, 0.2, 0.19];
  const { mirrors, counts } = mirroring(context, () => chances.shift() ?? 1);
  const both = [mirror('t/a', 0.2), mirror('t/b', 0.25)];
  for (let i = 0; i < 2; i++) mirrors.begin(both, exchangeFor(), '')?.end();
  assert.deepEqual(counts.all(), { 't/a unavailable': 1, 't/b unavailable': 1 });
  assert.equal(mirrors.held, 0);
});

test('all copies together hold no more than 16 MiB: then there is no copy, and what is over makes room', (context) => {
  const { mirrors, counts } = mirroring(context);
  const copies = Array.from({ length: 70 }, () => mirrors.begin([mirror('t/a')], upload(), ''));
  for (let i = 0; i < 4; i++) for (const copy of copies) copy?.add(KIB_64, 0, KIB_64.length);
  assert.ok(mirrors.held <= 16 * 1024 * 1024);
  const refused = counts.all()['t/a no-room'] ?? 0;
  assert.ok(refused >= 6, `${refused} refused`);
  for (const copy of copies) copy?.end();
  assert.deepEqual(counts.all(), { 't/a no-room': refused, 't/a unavailable': 70 - refused });
  assert.equal(mirrors.held, 0);
  mirrors.begin([mirror('t/a')], upload(), '')?.abandon();
  assert.equal(counts.all()['t/a incomplete'], 1);
  assert.equal(mirrors.held, 0);
});

test('a body that grows too large gives back what it held at once', (context) => {
  const { mirrors, counts } = mirroring(context);
  const copy = mirrors.begin([mirror('t/a'), mirror('t/b')], upload(), '');
  for (let i = 0; i < 5; i++) copy?.add(KIB_64, 0, KIB_64.length);
  assert.deepEqual(counts.all(), { 't/a too-large': 1, 't/b too-large': 1 });
  assert.equal(mirrors.held, 0);
  copy?.end();
  copy?.abandon();
  assert.deepEqual(counts.all(), { 't/a too-large': 1, 't/b too-large': 1 });
});

test('an attacker who opens tunnels or announces bodies beyond the limit makes no copies', (context) => {
  const { mirrors, counts } = mirroring(context);
  const upgrade = exchangeFor('/', ['Connection: upgrade', 'Upgrade: websocket']);
  assert.equal(mirrors.begin([mirror('t/a')], upgrade, ''), undefined);
  const huge = exchangeFor('/', ['Content-Length: 9999999999'], { method: 'PUT' });
  mirrors.begin([mirror('t/a')], huge, '')?.add(KIB_64, 0, KIB_64.length);
  assert.deepEqual(counts.all(), { 't/a too-large': 1 });
  assert.equal(mirrors.held, 0);
});
