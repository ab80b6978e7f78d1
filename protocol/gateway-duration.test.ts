import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGatewayDuration } from './gateway-duration.ts';

test('durations of the Gateway API', () => {
  for (const [text, ms] of [
    ['0s', 0],
    ['0ms', 0],
    ['150ms', 150],
    ['1h30m', 5_400_000],
    ['1s500ms', 1500],
    ['1m1m', 120_000],
    ['99999h', 86_400_000],
    ['1.5s', 1500],
  ] as const)
    assert.equal(parseGatewayDuration(text), ms, text);
});

test('what is none', () => {
  for (const text of ['', '0', '10', 's', '-1s', '1d', '1 s', '100000s1', '1h1m1s1ms1h', '1S', '1us'])
    assert.equal(parseGatewayDuration(text), undefined, JSON.stringify(text));
});
