import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portProtocol } from './port-protocol.ts';

test('appProtocol goes before the name of the port', () => {
  for (const [appProtocol, name, protocol] of [
    ['http', 'tcp', 'http'],
    ['HTTP', '', 'http'],
    ['kubernetes.io/h2c', 'http', 'http2'],
    ['kubernetes.io/ws', '', 'http'],
    ['kubernetes.io/wss', 'http', 'tcp'],
    ['grpc', '', 'grpc'],
    ['https', '', 'tcp'],
    ['example.test/own', 'http', 'detect'],
    ['constructor', '', 'detect'],
  ] as const)
    assert.equal(portProtocol(appProtocol, name), protocol, `${appProtocol} ${name}`);
});

test('a name says it by its first word', () => {
  for (const [name, protocol] of [
    ['http', 'http'],
    ['http-metrics', 'http'],
    ['http2-api', 'http2'],
    ['grpc', 'grpc'],
    ['grpc-orders', 'grpc'],
    ['grpc-web', 'http'],
    ['grpc-web-ui', 'http'],
    ['https-admin', 'tcp'],
    ['tcp-replication', 'tcp'],
    ['mysql', 'tcp'],
    ['httpd', 'detect'],
    ['metrics-http', 'detect'],
    ['constructor', 'detect'],
    ['', 'detect'],
  ] as const)
    assert.equal(portProtocol(undefined, name), protocol, name);
});
