import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthCheckRequest, servingStatus } from './grpc-health.ts';

/** A message of these bytes with its prefix. */
function message(...bytes: number[]): Buffer {
  return Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);
}

test('the request names the service, and nothing for the whole server', () => {
  assert.deepEqual(healthCheckRequest(''), message());
  assert.deepEqual(healthCheckRequest('a.B'), message(0x0a, 3, 0x61, 0x2e, 0x42));
  const long = healthCheckRequest('x'.repeat(200));
  assert.deepEqual([...long.subarray(0, 8)], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
  assert.equal(long.length, 208);
});

test('the status is told by its name; one that is left out is the default', () => {
  assert.equal(servingStatus(message(8, 1)), 'SERVING');
  assert.equal(servingStatus(message(8, 2)), 'NOT_SERVING');
  assert.equal(servingStatus(message(8, 3)), 'SERVICE_UNKNOWN');
  assert.equal(servingStatus(message(8, 0x80, 1)), 'status 128');
  assert.equal(servingStatus(message()), 'UNKNOWN');
});

test('fields that a later version may add are passed over', () => {
  const added = [0x12, 2, 8, 2, 0x1d, 8, 2, 8, 2, 0x21, 8, 2, 8, 2, 8, 2, 8, 2, 0x28, 0xff, 0xff, 0x01];
  assert.equal(servingStatus(message(...added, 8, 1)), 'SERVING');
  assert.equal(servingStatus(message(8, 1, ...added)), 'SERVING');
  assert.equal(servingStatus(message(8, 2, 8, 1)), 'SERVING', 'the last of one field holds');
});

test('what is no message of the protocol is none, whatever an endless or cut one looks like', () => {
  for (const bytes of [
    [],
    [0, 0, 0, 0],
    [1, 0, 0, 0, 2, 8, 1], // compressed
    [0, 0, 0, 0, 3, 8, 1], // cut
    [0, 0, 0, 0, 1, 8, 1], // two messages
    [0, 0, 0, 0, 1, 8],
    [0, 0, 0, 0, 2, 8, 0x80],
    [0, 0, 0, 0, 2, 0x12, 9],
    [0, 0, 0, 0, 2, 0x1d, 1],
    [0, 0, 0, 0, 2, 0x20, 0xff],
    [0, 0, 0, 0, 1, 0x0b],
    [0, 0, 0, 0, 7, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ])
    assert.equal(servingStatus(Buffer.from(bytes)), undefined, bytes.join());
  for (let length = 1; length < 200; length++)
    assert.equal(servingStatus(message(...new Array(length).fill(0xff))), undefined);
});
