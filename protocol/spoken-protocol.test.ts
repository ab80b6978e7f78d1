import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spokenProtocol } from './spoken-protocol.ts';

const spoken = (protocol: 'detect' | 'http' | 'http2' | 'grpc' | 'tcp', port: number) =>
  spokenProtocol({ protocol, port }, { opaquePorts: [5432] });

test('a declared protocol holds, whatever the port', () => {
  for (const port of [80, 5432]) {
    assert.equal(spoken('tcp', port), 'opaque');
    for (const protocol of ['http', 'http2', 'grpc'] as const) assert.equal(spoken(protocol, port), 'http');
  }
});

test('without one, an opaque port is opaque and another is looked at', () => {
  assert.equal(spoken('detect', 5432), 'opaque');
  assert.equal(spoken('detect', 80), 'detect');
});
