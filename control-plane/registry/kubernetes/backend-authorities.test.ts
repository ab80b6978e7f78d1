import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AUTHORITIES } from './backend-authorities.ts';

test('a tenant whose ConfigMap begins thousands of certificates and ends none keeps nobody busy', () => {
  // Looking for the end of each takes minutes.
  const text = '-----BEGIN CERTIFICATE-----\n'.repeat(400_000);
  assert.deepEqual(AUTHORITIES.read({ data: { 'ca.crt': text } }), {
    wrong: 'has no certificate in PEM in ca.crt',
  });
});
