import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCertificateRequest } from './certificate-request.ts';
import { identityRequestSchema, identityResponseSchema } from './identity-request.ts';

const { csrPem: csr } = createCertificateRequest();

test('a workload asks by a token, or by the certificate of its connection', () => {
  assert.deepEqual(identityRequestSchema.parse({ token: 'ey.J.x', csr }), { token: 'ey.J.x', csr });
  assert.deepEqual(identityRequestSchema.parse({ csr }), { csr });
});

test('a request that names the workload it would like to be is refused', () => {
  for (const more of [
    { workload: 'admin/root' },
    { namespace: 'admin' },
    { spiffeId: 'spiffe://td/ns/a/sa/b' },
  ]) {
    assert.equal(identityRequestSchema.safeParse({ csr, ...more }).success, false);
  }
});

test('a token or request of more than 8 KiB, of another type, or missing is refused', () => {
  const large = 'x'.repeat(8193);
  for (const body of [
    {},
    null,
    [],
    { token: 'x' },
    { csr: large },
    { csr, token: large },
    { csr: 5 },
    { csr, token: null },
  ]) {
    assert.equal(identityRequestSchema.safeParse(body).success, false, JSON.stringify(body)?.slice(0, 40));
  }
  assert.equal(identityRequestSchema.safeParse({ csr: 'x'.repeat(8192) }).success, true);
});

test('the answer has a chain, a bundle, an end and the time to renew', () => {
  const answer = { chain: 'c', bundle: 'b', notAfter: '2030-01-02T03:04:05.678Z', renewAfterMs: 1 };
  assert.deepEqual(identityResponseSchema.parse(answer), answer);
  for (const wrong of [
    { notAfter: 'tomorrow' },
    { notAfter: 1_900_000_000 },
    { notAfter: '2030-13-02T03:04:05Z' },
    { renewAfterMs: -1 },
    { renewAfterMs: Number.POSITIVE_INFINITY },
    { chain: undefined },
    { key: 'a key is never sent' },
  ]) {
    assert.equal(
      identityResponseSchema.safeParse({ ...answer, ...wrong }).success,
      false,
      JSON.stringify(wrong),
    );
  }
});
