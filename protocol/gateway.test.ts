import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewaySchema } from './gateway.ts';

const GATEWAY = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'edge', labels: { team: 'shop' } },
  spec: { listeners: [{ name: 'http', port: 80, protocol: 'HTTP', hostname: '*.example.test' }] },
};

const listener = (more: object) => ({
  ...GATEWAY,
  spec: { listeners: [{ name: 'http', port: 80, protocol: 'HTTP', ...more }] },
});

test('a gateway with its defaults; labels are taken and not looked at', () => {
  assert.deepEqual(gatewaySchema.parse(GATEWAY), {
    ...GATEWAY,
    metadata: { ...GATEWAY.metadata, namespace: 'default' },
    spec: { ...GATEWAY.spec, gatewayClassName: 'tulle' },
  });
});

test('listeners on no port, of other protocols or with settings that are not served are refused', () => {
  const wrong = [
    { port: 0 },
    { port: 65_536 },
    { port: '80' },
    { protocol: 'UDP' },
    { name: '' },
    { tls: {} },
  ];
  for (const more of wrong) assert.ok(!gatewaySchema.safeParse(listener(more)).success, JSON.stringify(more));
  assert.ok(!gatewaySchema.safeParse({ ...GATEWAY, spec: { listeners: [] } }).success);
  assert.ok(!gatewaySchema.safeParse({ ...GATEWAY, apiVersion: 'networking.k8s.io/v1' }).success);
  assert.ok(!gatewaySchema.safeParse({ ...GATEWAY, metadata: { name: '../edge' } }).success);
});
