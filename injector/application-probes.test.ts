import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Container, V1Probe } from '@kubernetes/client-node';
import { applicationProbes, beforeRewrite } from './application-probes.ts';
import { container, podOf } from './pod.fixture.ts';

const RULES = { skipped: [4191], native: true, strict: false };

function read(more: Partial<V1Container>, rules: Partial<typeof RULES> = {}) {
  return applicationProbes(podOf({ containers: [container(more)] }), { ...RULES, ...rules });
}

const ports = [
  { name: 'http', containerPort: 8080 },
  { name: '9', containerPort: 9999 },
];

test('HTTP and gRPC probes stay as they are, and are told to the proxy', () => {
  const { requests, edits } = read({
    ports,
    startupProbe: { httpGet: { port: 'http', path: '/start?full=1' } },
    readinessProbe: { grpc: { port: 9000, service: 'shop.Orders' } },
    livenessProbe: { grpc: { port: 9000 } },
    lifecycle: { preStop: { httpGet: { port: 8081, path: 'stop' } }, postStart: { httpGet: { port: 8081 } } },
  });
  assert.deepEqual(requests, [
    { port: 8080, path: '/start?full=1' },
    { port: 9000, grpc: 'shop.Orders' },
    { port: 9000, grpc: '' },
    { port: 8081, path: '/' },
    { port: 8081, path: '/stop' },
  ]);
  assert.deepEqual(edits, []);
});

test('a port is found as the kubelet finds it: by name, else as a number in quotes', () => {
  const at = (port: string) => read({ ports, livenessProbe: { httpGet: { port } } });
  assert.deepEqual(at('http').requests, [{ port: 8080, path: '/' }]);
  assert.deepEqual(at('9').requests, [{ port: 9999, path: '/' }]);
  assert.deepEqual(at('8081').requests, [{ port: 8081, path: '/' }]);
  const missing = at('htpp');
  assert.deepEqual(missing.requests, []);
  assert.deepEqual(missing.warnings, [
    'container web: livenessProbe names the port "htpp", which the container does not have',
  ]);
});

test('a tcpSocket probe becomes a request to the proxy, and keeps its times', () => {
  const probe: V1Probe = { tcpSocket: { port: 'http' }, periodSeconds: 3, failureThreshold: 9 };
  const { requests, edits, rewritten } = read({ ports, startupProbe: probe, livenessProbe: probe });
  assert.deepEqual(requests, [{ port: 8080, tcp: true }]);
  const value = {
    httpGet: { path: '/probe/tcp/8080', port: 4191, scheme: 'HTTP' },
    periodSeconds: 3,
    failureThreshold: 9,
  };
  assert.deepEqual(edits, [
    { op: 'replace', path: '/spec/containers/0/startupProbe', value },
    { op: 'replace', path: '/spec/containers/0/livenessProbe', value },
  ]);
  assert.deepEqual(rewritten, {
    'web.startupProbe': { port: 'http' },
    'web.livenessProbe': { port: 'http' },
  });
  assert.deepEqual(beforeRewrite(value, { port: 'http' }), probe);
  assert.equal(beforeRewrite({ httpGet: { port: 4191, path: '/mine' } }, { port: 1 }), undefined);
});

test('probes of ports that are not captured, of other hosts and by commands are left alone', () => {
  for (const probe of [
    { tcpSocket: { port: 80, host: '10.0.0.1' } },
    { httpGet: { port: 80, host: 'other.test' } },
    { exec: { command: ['true'] } },
    { tcpSocket: { port: 9000 } },
    { httpGet: { port: 9000 } },
    { grpc: { port: 9000 } },
    { httpGet: { port: 4191, path: '/readyz' } },
    {},
  ]) {
    const found = read({ livenessProbe: probe }, { skipped: [4191, 9000] });
    assert.deepEqual(found, { requests: [], edits: [], rewritten: {}, warnings: [] }, JSON.stringify(probe));
  }
});

test('HTTPS probes stay; where strict mTLS would refuse them that is said', () => {
  const probe: V1Probe = { httpGet: { port: 8443, scheme: 'HTTPS' } };
  assert.deepEqual(read({ readinessProbe: probe }), { requests: [], edits: [], rewritten: {}, warnings: [] });
  assert.match(
    read({ readinessProbe: probe }, { strict: true }).warnings[0] ?? '',
    /asks by HTTPS, which strict mTLS refuses; add 8443 to tulle.dev\/skip-inbound-ports/,
  );
});

test("an application's own native sidecar is probed through the proxy only where that runs before it", () => {
  const sidecar = container({ name: 's', restartPolicy: 'Always', startupProbe: { tcpSocket: { port: 1 } } });
  const pod = podOf({ initContainers: [sidecar] });
  const native = applicationProbes(pod, RULES);
  assert.equal(native.edits[0]?.path, '/spec/initContainers/0/startupProbe');
  assert.deepEqual(applicationProbes(pod, { ...RULES, native: false }).edits, []);
});

test('a path that looks like that of a TCP probe, on a port of the application, lets in itself and no more', () => {
  const { requests } = read({ livenessProbe: { httpGet: { port: 80, path: '/probe/tcp/22' } } });
  assert.deepEqual(requests, [{ port: 80, path: '/probe/tcp/22' }]);
});
