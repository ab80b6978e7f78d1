import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../default-settings.ts';
import { parseAnnotations } from './parse.ts';
import { isWrong } from './parsed.ts';
import { parseRateLimit, unverifiedKeys } from './rate-limit.ts';

const USUAL = { algorithm: 'token-bucket', mode: 'lease', onOutage: 'share', dryRun: false };

test('tokens a time; the burst is as large unless told', () => {
  assert.deepEqual(parseRateLimit('100/s'), {
    rateLimits: [{ ...USUAL, tokens: 100, perMs: 1000, burst: 100, by: [] }],
  });
  const times = ['1/s', '1/m', '1/h', '1/d'].map((text) => {
    const parsed = parseRateLimit(text);
    return 'rateLimits' in parsed ? parsed.rateLimits?.[0]?.perMs : undefined;
  });
  assert.deepEqual(times, [1000, 60_000, 3_600_000, 86_400_000]);
});

test('a burst, and by what callers are told apart', () => {
  assert.deepEqual(parseRateLimit('100/s burst 200 by client'), {
    rateLimits: [{ ...USUAL, tokens: 100, perMs: 1000, burst: 200, by: ['client'] }],
  });
  assert.deepEqual(parseRateLimit('5 / m by ip, path,api-key , header:x-user,claim:org.id'), {
    rateLimits: [
      {
        ...USUAL,
        tokens: 5,
        perMs: 60_000,
        burst: 5,
        by: ['ip', 'path', 'api-key', 'header:x-user', 'claim:org.id'],
      },
    ],
  });
});

test('windows, their estimates, and requests at once', () => {
  assert.deepEqual(parseRateLimit('window 1000/h by api-key; estimate 1000/h; concurrent 50 by client'), {
    rateLimits: [
      { ...USUAL, algorithm: 'sliding-window', tokens: 1000, perMs: 3_600_000, burst: 1000, by: ['api-key'] },
      { ...USUAL, algorithm: 'sliding-estimate', tokens: 1000, perMs: 3_600_000, burst: 1000, by: [] },
      { ...USUAL, algorithm: 'concurrency', tokens: 50, perMs: 0, burst: 50, by: ['client'] },
    ],
  });
});

test('options in any order', () => {
  const wanted = { ...USUAL, mode: 'exact', dryRun: true, onOutage: 'deny' };
  for (const text of [
    '10/s burst 20 by ip exact dry-run on-outage deny',
    '10/s on-outage deny dry-run exact by ip burst 20',
  ])
    assert.deepEqual(parseRateLimit(text), {
      rateLimits: [{ ...wanted, tokens: 10, perMs: 1000, burst: 20, by: ['ip'] }],
    });
  for (const onOutage of ['share', 'allow', 'deny'])
    assert.deepEqual(parseRateLimit(`1/s on-outage ${onOutage}`), {
      rateLimits: [{ ...USUAL, onOutage, tokens: 1, perMs: 1000, burst: 1, by: [] }],
    });
});

test('an option of another kind of limit is named as such', () => {
  const why = (text: string) => {
    const parsed = parseRateLimit(text);
    assert.ok(isWrong(parsed), text);
    return parsed.wrong;
  };
  assert.equal(why('window 5/h burst 6'), 'has "window 5/h burst 6", and a burst is of COUNT/s only');
  assert.match(why('concurrent 5 exact'), /has no mode exact/);
  assert.equal(why(Array(9).fill('1/s').join(';')), 'has 9 limits, and no more than 8 are taken');
});

test('names of headers are read in lower case, as requests are asked for them', () => {
  const parsed = parseRateLimit('1/s by header:X-User');
  assert.ok('rateLimits' in parsed);
  assert.deepEqual(parsed.rateLimits?.[0]?.by, ['header:x-user']);
});

test('what callers say of themselves unchecked is told of once', () => {
  const parsed = parseRateLimit('1/s by claim:sub; 2/s by claim:sub,ip; 3/s by api-key; 4/s by header:x');
  assert.ok('rateLimits' in parsed);
  assert.deepEqual(unverifiedKeys(parsed.rateLimits ?? []), ['claim:sub', 'api-key']);
});

test('several limits, separated by ;', () => {
  assert.deepEqual(parseRateLimit('10/s by client; 1000/h'), {
    rateLimits: [
      { ...USUAL, tokens: 10, perMs: 1000, burst: 10, by: ['client'] },
      { ...USUAL, tokens: 1000, perMs: 3_600_000, burst: 1000, by: [] },
    ],
  });
});

test('off takes away the limits of a namespace', () => {
  const base = parseAnnotations({ 'tulle.dev/rate-limit': '10/s; 1000/h' }, DEFAULT_SETTINGS).settings;
  assert.equal(base.rateLimits.length, 2);
  const { settings, problems } = parseAnnotations({ 'tulle.dev/rate-limit': 'off' }, base);
  assert.deepEqual([settings.rateLimits, problems], [[], []]);
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
    '1/s by client by ip',
    '1/s by ip,ip,ip,ip,ip,ip,ip',
    '1/s burst 5 burst 6',
    'window',
    'window 100',
    'window 0/h',
    'concurrent',
    'concurrent 5/s',
    'concurrent 0',
    '1/s on-outage',
    '1/s on-outage maybe',
    '1/s exactly',
    '1/s by __proto__',
    'off',
  ];
  for (const part of wrong) {
    const parsed = parseRateLimit(`10/s; ${part}`);
    assert.ok(isWrong(parsed), part);
    assert.equal(parsed.wrong, `has "${part}", which is no rate limit`);
    assert.match(parsed.meant, /^write COUNT\/s .*"burst COUNT".*"concurrent COUNT".*"by client"/);
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
