import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LengthPrefixedMessages } from './length-prefixed-messages.ts';

function message(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff);
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

test('it is between messages at the end of each and nowhere else, in pieces of any length', () => {
  const all = [message(3), message(0), message(300), message(0), message(1)];
  const ends = new Set<number>([0]);
  let length = 0;
  for (const one of all) {
    length += one.length;
    ends.add(length);
  }
  const bytes = Buffer.concat([Buffer.from('xx'), ...all, Buffer.from('xx')]);
  for (let size = 1; size <= length; size++) {
    const messages = new LengthPrefixedMessages();
    for (let at = 0; at < length; at += size) {
      const end = Math.min(length, at + size);
      messages.follow(bytes, 2 + at, 2 + end);
      assert.equal(messages.between, ends.has(end), `pieces of ${size}, at ${end}`);
    }
  }
});

test('a length with its highest bit set is a length, not less than nothing', () => {
  const messages = new LengthPrefixedMessages();
  const bytes = Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
  messages.follow(bytes, 0, bytes.length);
  assert.equal(messages.between, false);
});
