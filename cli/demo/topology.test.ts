import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMesh } from '../../protocol/mesh-file.ts';
import { matchesClient } from '../../protocol/spiffe.ts';
import { EDGES, GATEWAY, meshDocument, NAMESPACE, SERVICES } from './topology.ts';

const ENDPOINTS = new Map(SERVICES.map(({ name }, index) => [name, [`127.0.0.1:${9000 + index}`]]));

/** The demo's mesh, as the control plane reads it. */
function mesh(endpoints: ReadonlyMap<string, readonly string[]>) {
  const read = parseMesh(JSON.stringify(meshDocument(endpoints)), 'mesh.yaml');
  assert.deepEqual(read.problems, []);
  return read.mesh ?? assert.fail('no mesh');
}

test('the mesh of the demo has no problems, with its endpoints and before there are any', () => {
  assert.equal(mesh(ENDPOINTS).trustDomain, 'demo.test');
  assert.deepEqual(
    mesh(new Map()).services.map(({ service }) => service.endpoints),
    SERVICES.map(() => []),
  );
});

test('every endpoint proves the service account of its service, and takes calls by mesh mTLS only', () => {
  for (const { service, settings } of mesh(ENDPOINTS).services) {
    assert.deepEqual(
      service.endpoints.map(({ address, identity }) => [address, identity]),
      [[ENDPOINTS.get(service.name)?.[0], `${NAMESPACE}/${service.name}`]],
    );
    assert.equal(settings.mtls, 'strict');
  }
});

test('just those call a service that the graph has an arrow from', () => {
  const callers = [GATEWAY, ...SERVICES.map(({ name }) => name)];
  for (const { service, settings } of mesh(ENDPOINTS).services) {
    const allowed = callers.filter((caller) =>
      settings.allow?.some((pattern) => matchesClient(pattern, NAMESPACE, `${NAMESPACE}/${caller}`)),
    );
    const arrows = EDGES.filter(({ destination }) => destination === service.name).map(
      ({ source }) => source,
    );
    assert.deepEqual(allowed, arrows, service.name);
  }
});

test('the gateway leads to web', () => {
  const { gateways, routes } = mesh(ENDPOINTS);
  assert.deepEqual(
    gateways.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ['demo/edge'],
  );
  assert.deepEqual(routes[0]?.parents, [{ kind: 'Gateway', key: 'demo/edge' }]);
  assert.deepEqual(routes[0]?.rules[0]?.backends, [{ service: 'demo/web', weight: 1 }]);
});

test('the flaky service is retried on what it answers', () => {
  const flaky = SERVICES.filter(({ instances }) =>
    instances.some((instance) => instance.flaky !== undefined),
  );
  assert.ok(flaky.length > 0);
  for (const { name } of flaky) {
    const found = mesh(ENDPOINTS).services.find(({ service }) => service.name === name);
    assert.ok(found?.settings.retries.on.includes(503), name);
  }
});
