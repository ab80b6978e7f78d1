import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipv4Text, ipv6Text } from './ip-text.ts';

test('an IPv4 address is written in decimals', () => {
  assert.equal(ipv4Text(Buffer.from([10, 96, 0, 255])), '10.96.0.255');
});

for (const [hex, text] of [
  ['fd000010009600000000000000000001', 'fd00:10:96::1'],
  ['00000000000000000000000000000001', '::1'],
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['fe800000000000000000000000000000', 'fe80::'],
] as const) {
  test(`an IPv6 address is written in its short form: ${text}`, () => {
    assert.equal(ipv6Text(Buffer.from(hex, 'hex')), text);
  });
}
