import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { ChunkedReader } from './chunked.ts';
import { lastChunk } from './last-chunk.ts';

test('without trailers it is the end alone', () => {
  assert.equal(lastChunk(undefined), '0\r\n\r\n');
  assert.equal(lastChunk([]), '0\r\n\r\n');
});

test('trailers stand in it in their order, and are read back as they were', () => {
  const trailers = [new Field('grpc-status', '0'), new Field('grpc-message', ''), new Field('x', 'a\xe9, b')];
  const text = lastChunk(trailers);
  assert.equal(text, '0\r\ngrpc-status: 0\r\ngrpc-message: \r\nx: a\xe9, b\r\n\r\n');
  const reader = new ChunkedReader(DEFAULT_LIMITS);
  reader.reset(false);
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(
    reader.feed(bytes, 0, bytes.length, () => assert.fail('there is no data')),
    bytes.length,
  );
  assert.deepEqual(reader.trailerFields, trailers);
});
