import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpu, parseMemory } from './quantity.ts';

test('cores, and thousandths of one', () => {
  const right: [string, number][] = [
    ['100m', 0.1],
    ['2', 2],
    ['0.5', 0.5],
    ['0.125', 0.125],
    ['0', 0],
  ];
  for (const [text, cores] of right) assert.equal(parseCpu(text), cores, text);
  for (const wrong of ['', 'm', '1.5m', '0.0001', '-1', '1e3', '1 ', '.5', '1k', 'NaN', '9'.repeat(20)])
    assert.equal(parseCpu(wrong), undefined, wrong);
});

test('bytes with the units of Kubernetes', () => {
  const right: [string, number][] = [
    ['96Mi', 96 * 1024 * 1024],
    ['1Gi', 1024 ** 3],
    ['1.5G', 1.5e9],
    ['128974848', 128974848],
    ['10k', 10_000],
  ];
  for (const [text, bytes] of right) assert.equal(parseMemory(text), bytes, text);
  // 100m of memory is a tenth of a byte: what is meant is 100M.
  for (const wrong of ['', 'Mi', '100m', '96MB', '96 Mi', '-1', '0.5', '1e6', '96mi', 'constructor'])
    assert.equal(parseMemory(wrong), undefined, wrong);
});
