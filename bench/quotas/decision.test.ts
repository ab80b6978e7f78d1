import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureQuotaDecision } from './decision.ts';

test('decisions are measured on requests that find tokens', async () => {
  const { p50Ns, p99Ns, waited } = await measureQuotaDecision('1000000/s by client');
  assert.ok(p50Ns > 0 && p99Ns >= p50Ns);
  assert.ok(waited < 10_000, `${waited} waited`);
});
