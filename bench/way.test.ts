import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scenarios } from './scenarios.ts';
import { appOf } from './way.ts';

const appsOf = (peer: { http1Behind?: true }) =>
  Object.fromEntries(scenarios.map((scenario) => [scenario.name, appOf(scenario, peer)]));

test('every scenario has a name of its own', () => {
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
});

test('the application speaks what the last proxy does', () => {
  const { mtls, mesh, h2, 'h2-mesh': h2Mesh, grpc, tcp, websocket } = appsOf({});
  assert.deepEqual(
    { mtls, mesh, h2, h2Mesh, grpc, tcp, websocket },
    {
      mtls: 'mtls',
      mesh: 'http',
      h2: 'http2',
      h2Mesh: 'http2',
      grpc: 'grpc',
      tcp: 'stream',
      websocket: 'stream',
    },
  );
});

test('a peer that speaks HTTP/1.1 behind it stands before the application of HTTP/1.1, but for gRPC', () => {
  const { h2, 'h2-mesh': h2Mesh, grpc } = appsOf({ http1Behind: true });
  assert.deepEqual({ h2, h2Mesh, grpc }, { h2: 'http', h2Mesh: 'http', grpc: 'grpc' });
});
