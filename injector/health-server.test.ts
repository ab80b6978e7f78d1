import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHealthServer } from './health-server.ts';
import { injectorMetrics } from './metrics.ts';

test('alive, ready or why not, and metrics; nothing else', async (t) => {
  const metrics = injectorMetrics();
  metrics.count('inject', 'injected');
  metrics.certificateEnds(1_800_000_000_123);
  let notReady: string | undefined = 'it has no certificate yet';
  const server = await openHealthServer({ host: '127.0.0.1', port: 0 }, () => notReady, metrics.text);
  t.after(() => server.close());
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://${server.address}${path}`, { method });
    return [response.status, (await response.text()).trim()];
  };
  assert.deepEqual(await get('/livez'), [200, 'ok']);
  assert.deepEqual(await get('/readyz'), [503, 'it has no certificate yet']);
  notReady = undefined;
  assert.deepEqual(await get('/readyz'), [200, 'ok']);
  assert.equal((await get('/inject'))[0], 404);
  assert.equal((await get('/livez', 'POST'))[0], 405);
  const [, text] = await get('/metrics');
  assert.match(String(text), /tulle_injector_reviews_total\{webhook="inject",outcome="injected"\} 1/);
  assert.match(String(text), /tulle_injector_certificate_expiry_timestamp_seconds 1800000000/);
});
