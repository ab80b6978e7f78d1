import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type QuotaLease,
  type QuotaLeaseRequest,
  quotaLeaseRequestSchema,
  quotaLeaseSchema,
} from './quota-lease.ts';

const REQUEST: Omit<QuotaLeaseRequest, 'returned'> = {
  quota: 'shop/orders rate-limit 0',
  key: 'shop/web',
  tokens: 10,
};
const LEASE: QuotaLease = { quota: 'shop/orders rate-limit 0', key: '', granted: 10, expiresInMs: 100 };

test('a sidecar asks for tokens, and gives none back unless it says so', () => {
  assert.deepEqual(quotaLeaseRequestSchema.parse(REQUEST), { ...REQUEST, returned: 0 });
  assert.equal(quotaLeaseRequestSchema.parse({ ...REQUEST, returned: 5 }).returned, 5);
});

test('asking for negative, broken or boundless numbers of tokens, or giving back less than none, is refused', () => {
  const wrong = [-1, 0, 0.5, 1_000_001, Number.NaN, Number.POSITIVE_INFINITY, '10', null];
  for (const tokens of wrong) {
    assert.equal(quotaLeaseRequestSchema.safeParse({ ...REQUEST, tokens }).success, false, String(tokens));
  }
  for (const returned of wrong.filter((number) => number !== 0)) {
    assert.equal(
      quotaLeaseRequestSchema.safeParse({ ...REQUEST, returned }).success,
      false,
      String(returned),
    );
  }
});

test('keys and quotas of boundless length, without a name, and fields that are not known are refused', () => {
  for (const more of [{ quota: '' }, { quota: 'x'.repeat(513) }, { key: 'x'.repeat(1025) }, { granted: 5 }]) {
    assert.equal(quotaLeaseRequestSchema.safeParse({ ...REQUEST, ...more }).success, false);
  }
});

test('a lease says how many, for how long, and when to ask again', () => {
  assert.deepEqual(quotaLeaseSchema.parse(LEASE), LEASE);
  const refused = { ...LEASE, granted: 0, retryAfterMs: 250 };
  assert.deepEqual(quotaLeaseSchema.parse(refused), refused);
});

test('a lease that never ends, ended before it began, or grants no whole number is refused', () => {
  for (const more of [
    { expiresInMs: 0 },
    { expiresInMs: -1 },
    { expiresInMs: Number.POSITIVE_INFINITY },
    { granted: -1 },
    { granted: 1.5 },
    { granted: 1_000_001 },
    { retryAfterMs: -1 },
    { returned: 1 },
  ]) {
    assert.equal(quotaLeaseSchema.safeParse({ ...LEASE, ...more }).success, false, JSON.stringify(more));
  }
});
