import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EDGE_LABELS, edgeLabels } from './edge-labels.ts';
import type { Edge } from './edge-stats.ts';

function edge(more: Partial<Edge> = {}): Edge {
  return {
    reporter: 'destination',
    source: 'shop/web',
    destination: 'pay/checkout',
    protocol: 'http',
    mtls: true,
    ...more,
  };
}

test("an edge has Istio's labels", () => {
  assert.deepEqual(edgeLabels(edge(), 'mesh.local'), {
    reporter: 'destination',
    source_workload: 'web',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://mesh.local/ns/shop/sa/web',
    source_canonical_service: 'web',
    destination_workload: 'checkout',
    destination_workload_namespace: 'pay',
    destination_service: 'checkout.pay.svc.cluster.local',
    destination_service_name: 'checkout',
    destination_service_namespace: 'pay',
    destination_canonical_service: 'checkout',
    request_protocol: 'http',
    connection_security_policy: 'mutual_tls',
  });
});

test('every label is given, and no other', () => {
  assert.deepEqual(Object.keys(edgeLabels(edge(), 'mesh.local')), [...EDGE_LABELS]);
});

test('a principal is told only of a caller that proved it', () => {
  const labels = edgeLabels(edge({ mtls: false }), 'mesh.local');
  assert.equal(labels.source_principal, 'unknown');
  assert.equal(labels.connection_security_policy, 'none');
});

test('what is not known, and what is counted together, is unknown', () => {
  for (const name of ['unknown', 'other']) {
    const labels = edgeLabels(edge({ source: name, destination: name }), 'mesh.local');
    assert.deepEqual(
      [labels.source_workload, labels.source_workload_namespace, labels.source_principal],
      [name, 'unknown', 'unknown'],
    );
    assert.deepEqual([labels.destination_service, labels.destination_service_namespace], [name, 'unknown']);
  }
});

test('an attacker with a certificate of a strange name does not make the metrics fail', () => {
  for (const source of ['-a/b', 'a/b.', 'A/B', 'a/b/c', '/', 'a/', '/b', ''])
    assert.equal(edgeLabels(edge({ source }), 'mesh.local').source_principal, 'unknown', source);
});
