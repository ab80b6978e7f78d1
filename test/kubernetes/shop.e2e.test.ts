import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { apply, clusterIps, kubectl, namespace, rolledOut } from './kubectl.ts';

const SHOP = join(import.meta.dirname, '../../examples/shop');
const DEPLOYMENTS = ['web', 'orders', 'payments', 'catalog', 'reviews-v1', 'reviews-v2', 'traffic'];

test('the shop of examples/ works without a mesh, and its Job completes', async (context) => {
  const shop = await namespace(context, 'tulle-plain-shop');
  const manifests = globSync(`${SHOP}/[a-z]*.yaml`)
    .sort()
    .map((file) => readFileSync(file, 'utf8'));
  const plain = manifests.join('\n---\n').replaceAll('namespace: shop', `namespace: ${shop}`);
  await apply(plain);
  await rolledOut(shop, 'statefulset/ledger', ...DEPLOYMENTS.map((name) => `deployment/${name}`));
  const [ip] = await clusterIps(shop, 'web');
  const answered = async (): Promise<string | undefined> => {
    const { statusCode, body } = await request(`http://${ip}:8080/`);
    const text = await body.text();
    return statusCode === 200 ? text : undefined;
  };
  // Names of pods that were asked for before they were ready are remembered as unknown for a while.
  let told = await answered();
  for (const end = performance.now() + 30_000; told === undefined && performance.now() < end; )
    told = await answered();
  for (const service of ['web', 'orders', 'payments', 'ledger', 'catalog', 'reviews']) {
    assert.match(told ?? '', new RegExp(`"service":"${service}"`));
  }
  await kubectl('-n', shop, 'wait', '--for=condition=complete', 'job/stock-count', '--timeout=60s');
});
