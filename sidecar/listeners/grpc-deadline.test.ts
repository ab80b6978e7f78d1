import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grpcTimeout, grpcTimeoutMs } from './grpc-deadline.ts';

test('each unit is read as milliseconds, parts of one as a whole one', () => {
  for (const [text, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['30S', 30_000],
    ['250m', 250],
    ['1500u', 2],
    ['1u', 1],
    ['1n', 1],
    ['99999999n', 100],
    ['0S', 1],
    ['00000007m', 7],
  ] as const)
    assert.equal(grpcTimeoutMs(text), ms, text);
});

test('what is no timeout is none: an attacker sets no deadline, and no endless or negative one', () => {
  const odd = [
    undefined,
    '',
    'S',
    '1',
    '1s',
    '1 S',
    ' 1S',
    '1S ',
    '-1S',
    '+1S',
    '1.5S',
    '1e3m',
    '0x1S',
    '123456789m',
    '1S,2S',
    '1SS',
    '1S\n',
    '１S',
    'NaNm',
  ];
  for (const text of odd) assert.equal(grpcTimeoutMs(text), 0, String(text));
});

test('a wait that no timer holds is no deadline', () => {
  assert.equal(grpcTimeoutMs('99999999H'), 0);
  assert.equal(grpcTimeoutMs('2147484S'), 0);
  assert.equal(grpcTimeoutMs('2147483S'), 2_147_483_000);
});

test('what is written has at most eight digits, is never shorter than asked, and is read back', () => {
  for (const ms of [1, 1.5, 250, 60_000, 99_999_999, 99_999_999.5, 100_000_000, 123_456_789, 2 ** 31 - 1]) {
    const text = grpcTimeout(ms);
    assert.match(text, /^\d{1,8}[mS]$/, String(ms));
    const read = Number(text.slice(0, -1)) * (text.endsWith('S') ? 1000 : 1);
    assert.ok(read >= ms && read < ms + 1000, `${ms}: ${text}`);
  }
});
