import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../../protocol/service.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { Exchange, type ListenerKind } from '../exchange.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import { upstreamVersion } from './upstream-version.ts';

function stream(listener: ListenerKind, type?: string): Exchange {
  const head = streamHead({
    method: 'POST',
    target: '/',
    authority: 'app',
    lines: type === undefined ? [] : [['content-type', type]],
  });
  const exchange = new Exchange(listener, head);
  exchange.begin(head, 0);
  return exchange;
}

const LISTENERS: readonly ListenerKind[] = ['inbound', 'outbound', 'gateway'];
const versions = (protocol: Service['protocol'], exchangeOf: (listener: ListenerKind) => Exchange) =>
  LISTENERS.map((listener) => upstreamVersion(protocol, listener, exchangeOf(listener)));

const http1 = (listener: ListenerKind) => exchangeFor('/', [], { listener });

test('a service that is said to speak a version is spoken to in it, whatever the caller speaks', () => {
  for (const caller of [http1, (listener: ListenerKind) => stream(listener)]) {
    assert.deepEqual(versions('http', caller), [HTTP_11, HTTP_11, HTTP_11]);
    assert.deepEqual(versions('http2', caller), [HTTP_2, HTTP_2, HTTP_2]);
    assert.deepEqual(versions('grpc', caller), [HTTP_2, HTTP_2, HTTP_2]);
  }
});

test('where nothing is said the version is that of the caller, but at the gateway HTTP/1.1', () => {
  assert.deepEqual(versions('detect', http1), [HTTP_11, HTTP_11, HTTP_11]);
  assert.deepEqual(
    versions('detect', (listener) => stream(listener)),
    [HTTP_2, HTTP_2, HTTP_11],
  );
});

test('gRPC goes by HTTP/2, to every service, at the gateway too', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;charset=x'])
    for (const protocol of ['detect', 'http', 'http2', 'grpc'] as const)
      assert.deepEqual(
        versions(protocol, (listener) => stream(listener, type)),
        [HTTP_2, HTTP_2, HTTP_2],
        `${type} ${protocol}`,
      );
});

test('gRPC-Web and what a caller of HTTP/1.1 calls gRPC are no gRPC', () => {
  assert.deepEqual(
    versions('detect', (listener) => stream(listener, 'application/grpc-web+proto')),
    [HTTP_2, HTTP_2, HTTP_11],
  );
  assert.deepEqual(
    versions('detect', (listener) => exchangeFor('/', ['Content-Type: application/grpc'], { listener })),
    [HTTP_11, HTTP_11, HTTP_11],
  );
});
