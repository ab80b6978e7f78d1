import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { GOING_AWAY, WebSocketFrames } from './websocket-frames.ts';

/** A frame as a client or a server sends it. */
function frame(payload: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const length =
    payload < 126
      ? Buffer.from([mask | payload])
      : payload < 65_536
        ? Buffer.from([mask | 126, payload >> 8, payload & 0xff])
        : Buffer.concat([Buffer.from([mask | 127, 0, 0, 0, 0]), uint32(payload)]);
  return Buffer.concat([Buffer.from([0x82]), length, Buffer.alloc((masked ? 4 : 0) + payload, 0x81)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

for (const [size, masked] of [
  [0, false],
  [0, true],
  [1, true],
  [125, false],
  [126, true],
  [127, false],
  [65_535, true],
  [65_536, true],
  [70_000, false],
] as const) {
  test(`a frame of ${size} bytes${masked ? ' under a mask' : ''} ends at its last byte, also byte by byte`, () => {
    const bytes = frame(size, masked);
    const whole = new WebSocketFrames();
    assert.equal(whole.follow(bytes, 0, bytes.length), bytes.length);
    assert.ok(whole.between);
    const slow = new WebSocketFrames();
    for (let at = 0; at < bytes.length; at++) {
      assert.equal(slow.follow(bytes, at, at + 1), at === bytes.length - 1 ? bytes.length : -1);
      assert.equal(slow.between, at === bytes.length - 1);
    }
  });
}

test('of several frames in one read, the end of the last whole one is told', () => {
  const [one, two, three] = [frame(3, true), frame(300, true), frame(10, true)];
  const bytes = Buffer.concat([one, two, three]);
  const frames = new WebSocketFrames();
  assert.equal(frames.follow(bytes, 0, bytes.length - 1), one.length + two.length);
  assert.equal(frames.between, false);
  assert.equal(frames.follow(bytes, bytes.length - 1, bytes.length), bytes.length);
});

test('frames cut anywhere are followed as when they come whole', () => {
  const random = seeded(7);
  const sizes = Array.from({ length: 50 }, () => Math.floor(random() * 2000));
  const bytes = Buffer.concat(sizes.map((size) => frame(size, random() < 0.5)));
  const frames = new WebSocketFrames();
  let last = -1;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + Math.floor(random() * 700));
    last = Math.max(last, frames.follow(bytes, at, end));
    at = end;
  }
  assert.equal(last, bytes.length);
  assert.ok(frames.between);
});

test('going away is a masked Close frame of status 1001', () => {
  assert.equal(new WebSocketFrames().follow(GOING_AWAY, 0, GOING_AWAY.length), GOING_AWAY.length);
  assert.equal(GOING_AWAY.readUInt16BE(6), 1001);
});
