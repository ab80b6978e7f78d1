import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddressBlocks } from './address-blocks.ts';

for (const [text, family, written] of [
  ['10.0.0.0/8', 4, '10.0.0.0/8'],
  ['192.0.2.128/25', 4, '192.0.2.128/25'],
  ['192.0.2.7', 4, '192.0.2.7/32'],
  ['0.0.0.0/0', 4, '0.0.0.0/0'],
  ['FD00:0:0::/8', 6, 'fd00::/8'],
  ['2001:db8:0:0:1:0:0:1', 6, '2001:db8::1:0:0:1/128'],
  ['2001:db8:8000::/33', 6, '2001:db8:8000::/33'],
  ['::/0', 6, '::/0'],
] as const) {
  test(`${text} is written as the kernel's tools do: ${written}`, () => {
    const bits = Number(written.split('/')[1]);
    assert.deepEqual(parseAddressBlocks('cidrs', text), [{ family, text: written, bits }]);
  });
}

test('several, with spaces; nothing is an empty list', () => {
  assert.equal(parseAddressBlocks('cidrs', '10.0.0.0/8, fd00::/8').length, 2);
  assert.deepEqual(parseAddressBlocks('cidrs', ''), []);
});

for (const text of [
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0/8',
  'example.com',
  '10.0.0.0/8/8',
  '10.0.0.0/',
  'fe80::1%eth0',
  '10.0.0.0/-1',
  ',',
  '10.0.0.0/8 -j ACCEPT',
]) {
  test(`"${text}" is refused with the field, the value and what was meant`, () => {
    assert.throws(
      () => parseAddressBlocks('skip-outbound-cidrs', text),
      ({ message }: Error) =>
        message.startsWith(`skip-outbound-cidrs "${text}": "`) &&
        message.includes('write them like 10.0.0.0/8'),
    );
  });
}

test('an address inside of its block is refused with both that could be meant', () => {
  assert.throws(
    () => parseAddressBlocks('cidrs', '10.1.2.3/8'),
    /write 10\.0\.0\.0\/8 for the whole block, or 10\.1\.2\.3 for this one address$/,
  );
  assert.throws(() => parseAddressBlocks('cidrs', 'fd00::1/64'), /write fd00::\/64 for the whole block/);
});

test('IPv4 written as IPv6 is refused: no packet has such an address, and it would skip nothing', () => {
  assert.throws(() => parseAddressBlocks('cidrs', '::ffff:10.0.0.0/104'), /is IPv4 written as IPv6/);
});
