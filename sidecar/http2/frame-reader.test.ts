import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import { DATA, END_STREAM, HEADERS, PADDED, PING } from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { frame } from './raw-peer.fixture.ts';

/** What a reader tells of bytes that come `step` at a time; data in one piece. */
function read(bytes: Buffer, step: number): string[] {
  const told: string[] = [];
  let data = '';
  const sink: FrameSink = {
    onFrameHeader(type, flags, streamId, length) {
      told.push(`${type} ${flags} ${streamId} ${length}`);
      return true;
    },
    onDataBytes(part, start, end) {
      data += part.toString('latin1', start, end);
    },
    onDataEnd() {
      told.push(`data ${data}`);
      data = '';
    },
    onFrame: (_type, _flags, _id, part, start, end) => void told.push(part.toString('latin1', start, end)),
    onFrameError(code) {
      told.push(`error ${code}`);
      reader.stop();
    },
  };
  const reader = new FrameReader(sink);
  for (let at = 0; at < bytes.length; at += step) {
    // Each piece in a buffer of its own, which is then read over.
    const piece = Buffer.from(bytes.subarray(at, at + step));
    reader.feed(piece, 0, piece.length);
    piece.fill(0xff);
  }
  return told;
}

test('frames are found however their bytes come', () => {
  const bytes = Buffer.concat([
    frame(HEADERS, 4, 1, Buffer.from('head')),
    frame(DATA, 0, 1, Buffer.from('some data')),
    frame(0x20, 9, 7, Buffer.from('unknown')),
    frame(DATA, PADDED | END_STREAM, 1, Buffer.from('\x03rest\0\0\0')),
    frame(DATA, PADDED, 1, [0]),
    frame(DATA, 0, 1),
    frame(0x21, 0, 7),
    frame(PING, 0, 0, Buffer.from('12345678')),
  ]);
  const expected = [
    '1 4 1 4',
    'head',
    '0 0 1 9',
    'data some data',
    '32 9 7 7',
    '0 9 1 8',
    'data rest',
    '0 8 1 1',
    'data ',
    '0 0 1 0',
    'data ',
    '33 0 7 0',
    '6 0 0 8',
    '12345678',
  ];
  for (const step of [1, 2, 3, 5, 7, 9, 10, 11, 64, bytes.length])
    assert.deepEqual(read(bytes, step), expected, `${step} bytes at a time`);
});

test('a frame larger than we take is an error before its payload comes', () => {
  assert.deepEqual(read(frame(HEADERS, 0, 1, Buffer.alloc(16_385)).subarray(0, 9), 9), [
    `error ${FRAME_SIZE_ERROR}`,
  ]);
});

test('padding that is longer than its frame is an error, and nothing is read after it', () => {
  const bytes = Buffer.concat([frame(DATA, PADDED, 1, [5, 1, 2]), frame(PING, 0, 0, Buffer.alloc(8))]);
  assert.deepEqual(read(bytes, 64), ['0 8 1 3', `error ${PROTOCOL_ERROR}`]);
  assert.deepEqual(read(frame(DATA, PADDED, 1), 64), ['0 8 1 0', `error ${FRAME_SIZE_ERROR}`]);
});
