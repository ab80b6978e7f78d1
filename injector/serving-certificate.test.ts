import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { issueServingCertificate, livingBundle, validityOf } from './serving-certificate.ts';

const HOUR = 3_600_000;

test('a certificate holds for its names alone, and may do nothing but serve', async () => {
  const made = await issueServingCertificate(['injector.tulle-system.svc', '10.0.0.1', 'fd00::1'], HOUR);
  const validity = validityOf(made);
  for (const name of ['injector.tulle-system.svc', '10.0.0.1', 'fd00::1', 'FD00:0::1'])
    assert.equal(validity?.holdsFor(name), true, name);
  for (const name of ['other.tulle-system.svc', '10.0.0.2', 'fd00::2'])
    assert.equal(validity?.holdsFor(name), false, name);
  const certificate = new X509Certificate(made.certificatePem);
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.ok(certificate.checkIssued(certificate), 'tulle check looks so whether the bundle is its issuer');
});

test('it is renewed when two thirds of its life are over', async () => {
  const made = await issueServingCertificate(['a.test'], 29 * HOUR);
  const { endsMs = 0, renewMs = 0 } = validityOf(made) ?? {};
  assert.ok(Math.abs(endsMs - renewMs - 10 * HOUR) < 1000);
});

test('a key that belongs to another certificate, and what is no certificate, cannot serve', async () => {
  const [one, other] = [
    await issueServingCertificate(['a.test'], HOUR),
    await issueServingCertificate(['a.test'], HOUR),
  ];
  assert.equal(validityOf({ ...one, keyPem: other.keyPem }), undefined);
  assert.equal(validityOf({ ...one, certificatePem: '' }), undefined);
  assert.equal(validityOf({ certificatePem: 'x', keyPem: 'y' }), undefined);
});

test('a bundle holds each certificate once, in order, and none that has ended or is none', async () => {
  const one = await issueServingCertificate(['a.test'], HOUR);
  const two = await issueServingCertificate(['b.test'], 3 * HOUR);
  const junk = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const pems = [one.certificatePem + junk, two.certificatePem, one.certificatePem, ''];
  assert.equal(livingBundle(pems, Date.now()), one.certificatePem + two.certificatePem);
  assert.equal(livingBundle(pems, Date.now() + 2 * HOUR), two.certificatePem);
});
