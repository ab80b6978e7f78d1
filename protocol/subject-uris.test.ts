import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subjectUris } from './subject-uris.ts';

for (const [what, subjectAltName, uris] of [
  ['no names', undefined, []],
  ['one', 'URI:spiffe://mesh.local/ns/shop/sa/orders', ['spiffe://mesh.local/ns/shop/sa/orders']],
  ['among others', 'DNS:a.example, URI:spiffe://a/b, IP Address:10.0.0.1, URI:x:y', ['spiffe://a/b', 'x:y']],
  ['with a comma of its own', 'URI:"spiffe://a/b, c"', ['spiffe://a/b, c']],
  ['an attacker puts one into a host name', 'DNS:"a, URI:spiffe://a/b, c"', []],
  [
    'an attacker puts one and a quote into a host name',
    'DNS:"a\\", URI:spiffe://a/b, \\"c", URI:d:e',
    ['d:e'],
  ],
] as const) {
  test(`URIs of a certificate: ${what}`, () => {
    assert.deepEqual(subjectUris({ subjectAltName }), uris);
  });
}
