import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWrong } from './parsed.ts';
import { parseRateLimit } from './rate-limit.ts';

test('tokens a time; the burst is as large unless told', () => {
  assert.deepEqual(parseRateLimit('100/s'), {
    rateLimits: [{ tokens: 100, perMs: 1000, burst: 100, by: [] }],
  });
  const times = ['1/s', '1/m', '1/h', '1/d'].map((text) => {
    const parsed = parseRateLimit(text);
    return 'rateLimits' in parsed ? parsed.rateLimits?.[0]?.perMs : undefined;
  });
  assert.deepEqual(times, [1000, 60_000, 3_600_000, 86_400_000]);
});

test('a burst, and by what callers are told apart', () => {
  assert.deepEqual(parseRateLimit('100/s burst 200 by client'), {
    rateLimits: [{ tokens: 100, perMs: 1000, burst: 200, by: ['client'] }],
  });
  assert.deepEqual(parseRateLimit('5 / m by ip, path,api-key , header:x-user,claim:org.id'), {
    rateLimits: [
      { tokens: 5, perMs: 60_000, burst: 5, by: ['ip', 'path', 'api-key', 'header:x-user', 'claim:org.id'] },
    ],
  });
});

test('several limits, separated by ;', () => {
  assert.deepEqual(parseRateLimit('10/s by client; 1000/h'), {
    rateLimits: [
      { tokens: 10, perMs: 1000, burst: 10, by: ['client'] },
      { tokens: 1000, perMs: 3_600_000, burst: 1000, by: [] },
    ],
  });
});

test('a part that is no limit is named, and none of the others holds', () => {
  const wrong = [
    '',
    '100',
    '100/w',
    '0/s',
    '-1/s',
    '1.5/s',
    '1e9/s',
    '9999999999/s',
    '1/s burst 0',
    '1/s burst',
    '1/s by',
    '1/s by nobody',
    '1/s by header:',
    '1/s by client,',
    '1/s by client ip',
    '1/s by client burst 5',
    '1/s by __proto__',
  ];
  for (const part of wrong) {
    const parsed = parseRateLimit(`10/s; ${part}`);
    assert.ok(isWrong(parsed), part);
    assert.equal(parsed.wrong, `has "${part}", which is no rate limit`);
    assert.match(parsed.meant, /^write COUNT\/s, with "burst COUNT" and "by client" if wanted/);
  }
});

test('keys by the thousand that end wrong do not make the expression run for years', () => {
  const parsed = parseRateLimit(`1/s by ${'a,'.repeat(2000)}a !`);
  assert.ok(isWrong(parsed));
});

test('credentials in a wrong limit are not told', () => {
  const parsed = parseRateLimit('redis://user:hunter2@redis:6379');
  assert.ok(isWrong(parsed));
  assert.equal(parsed.wrong, 'has "redis://***@redis:6379", which is no rate limit');
});
