import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseMesh } from '../../protocol/mesh-file.ts';
import { resourcesOf } from '../../protocol/resources.ts';
import type { Hop, Protocol } from './peer.ts';
import { tullePeer } from './tulle.ts';

const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-test-'));
after(() => rmSync(directory, { recursive: true }));

const certificate = { cert: 'c', key: 'k', both: 'b' };
const hop: Hop = {
  protocol: 'http',
  listen: 4001,
  accepts: 'plain',
  next: 4002,
  speaks: 'plain',
  admin: 4003,
  routes: 0,
  clients: 64,
  directory,
  certificates: { bundle: 'roots', client: certificate, app: certificate },
};

function configured(more: Partial<Hop>) {
  const { args } = tullePeer('dist/tulle.js', 'Tulle').configure({ ...hop, ...more });
  const { mesh, problems } = parseMesh(readFileSync(join(directory, 'mesh.yaml'), 'utf8'), 'mesh.yaml');
  assert.deepEqual(problems, []);
  assert.ok(mesh !== undefined);
  return { flags: args.join(' '), resources: resourcesOf(mesh) };
}

test('the mesh file of every protocol is one that Tulle reads without a problem', () => {
  for (const protocol of ['http', 'websocket', 'http2', 'grpc', 'tcp'] satisfies Protocol[]) {
    for (const accepts of ['plain', 'mtls'] as const) {
      assert.ok(configured({ protocol, accepts }).resources.services.has('bench/app'));
    }
  }
});

test('bytes have a listener of their service, since they name none', () => {
  assert.match(configured({ protocol: 'tcp' }).flags, /--outbound-service bench\/app=127\.0\.0\.1:4001/);
  assert.match(configured({ protocol: 'grpc' }).flags, /--outbound 127\.0\.0\.1:4001/);
});

test('of many routes, each leads to a service of its own', () => {
  const { services } = configured({ routes: 25 }).resources;
  assert.equal([...services.keys()].filter((key) => key.startsWith('bench/s')).length, 25);
  const last = services.get('bench/h2')?.routes[0]?.rules.at(-1);
  assert.deepEqual(
    last?.backends.map(({ service }) => service),
    ['bench/s24'],
  );
  assert.equal(last?.matches[0]?.path?.value, '/p4');
});
