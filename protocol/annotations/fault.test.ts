import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFault } from './fault.ts';

test('a delay or an abort, each with its percentage', () => {
  assert.deepEqual(parseFault('delay 200ms 10%'), { faults: [{ delayMs: 200, share: 0.1 }] });
  assert.deepEqual(parseFault(' abort 503 100% '), { faults: [{ abort: { status: 503 }, share: 1 }] });
  assert.deepEqual(parseFault('abort unavailable 0.01%'), {
    faults: [{ abort: { status: 503, grpcStatus: 14 }, share: 0.0001 }],
  });
  assert.deepEqual(parseFault('delay 1s 0%'), { faults: [{ delayMs: 1000, share: 0 }] });
});

test('several, each only for requests with a header where it says so', () => {
  assert.deepEqual(parseFault('delay 1s 50% if header X-Chaos; abort 500 5% if header X-Chaos: on, please'), {
    faults: [
      { delayMs: 1000, share: 0.5, header: { name: 'x-chaos' } },
      { abort: { status: 500 }, share: 0.05, header: { name: 'x-chaos', value: 'on, please' } },
    ],
  });
});

test('off takes away what a more general policy said', () => {
  assert.deepEqual(parseFault('off'), { unset: 'faults' });
});

test('a fault without a percentage is refused, as is what is no fault', () => {
  for (const text of [
    'delay 200ms',
    'abort 503',
    'abort 503 5',
    'abort 503 101%',
    'abort 503 -1%',
    'abort 200 5%',
    'abort 600 5%',
    'abort toString 5%',
    'delay 0s 5%',
    'delay 6m 5%',
    'delay 1s 5% if x-chaos',
    'delay 1s 5% if header a b: c',
    'drop 5%',
    '',
    'delay 1s 5%;',
    Array(17).fill('delay 1s 5%').join(';'),
  ]) {
    const read = parseFault(text);
    assert.ok('wrong' in read && read.meant.includes('PERCENT%'), text);
  }
});
