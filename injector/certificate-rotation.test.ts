import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CertificateRotation,
  type CertificateStore,
  type StoredCertificates,
} from './certificate-rotation.ts';
import { issueServingCertificate, type ServingCertificate } from './serving-certificate.ts';

const DAY = 24 * 3_600_000;
const START = Date.parse('2026-01-01');
const SETTLE_MS = 10_000;

/** A Secret, a clock and the bundle of the API servers; replicas share them. */
class Shared {
  nowMs = START;
  stored: Partial<StoredCertificates> | undefined;
  revision = 0;
  announced = '';
  /** Writes that came too late. */
  conflicts = 0;

  readonly store: CertificateStore = {
    read: async () => this.stored && { stored: this.stored, revision: String(this.revision) },
    write: async (stored, revision) => {
      if (revision !== (this.stored && String(this.revision))) {
        this.conflicts++;
        return false;
      }
      this.stored = stored;
      this.revision++;
      return true;
    },
  };

  replica(names = ['injector.test']): CertificateRotation {
    return new CertificateRotation({
      store: this.store,
      announce: async (bundlePem) => {
        this.announced = bundlePem;
      },
      names,
      lifeMs: 90 * DAY,
      settleMs: SETTLE_MS,
      now: () => this.nowMs,
    });
  }

  issue(lifeMs = 90 * DAY): Promise<ServingCertificate> {
    return issueServingCertificate(['injector.test'], lifeMs, this.nowMs);
  }
}

test('the first replica makes a certificate, the others take it', async () => {
  const shared = new Shared();
  const one = await shared.replica().step();
  const two = await shared.replica().step();
  assert.equal(two.certificate.certificatePem, one.certificate.certificatePem);
  assert.equal(shared.revision, 1);
  assert.equal(shared.announced, one.certificate.certificatePem);
  assert.equal(one.endsMs, START + 90 * DAY);
});

test('replicas that start at once agree on the one that was written first', async () => {
  const shared = new Shared();
  const served = await Promise.all([1, 2, 3].map(() => shared.replica().step()));
  assert.equal(new Set(served.map(({ certificate }) => certificate.certificatePem)).size, 1);
  assert.ok(shared.conflicts > 0);
});

test('a certificate near its end: the next is announced beside it, served later, and the old one stays trusted', async () => {
  const shared = new Shared();
  const replica = shared.replica();
  const { certificate: old } = await replica.step();
  shared.nowMs += 61 * DAY;
  const announced = await replica.step();
  assert.equal(announced.certificate.certificatePem, old.certificatePem);
  assert.ok(announced.isRotating);
  const next = shared.stored?.next?.certificatePem ?? '';
  assert.equal(shared.announced, old.certificatePem + next);
  shared.nowMs += SETTLE_MS - 1;
  assert.equal((await replica.step()).certificate.certificatePem, old.certificatePem);
  shared.nowMs += 1;
  const rotated = await replica.step();
  assert.equal(rotated.certificate.certificatePem, next);
  assert.equal(rotated.isRotating, false);
  assert.equal(shared.announced, old.certificatePem + next);
  const writes = shared.revision;
  await replica.step();
  assert.equal(shared.revision, writes, 'nothing is left to do');
  shared.nowMs += 30 * DAY;
  await replica.step();
  assert.equal(shared.announced, next, 'the old one has ended');
});

test('a replica that restarts while a certificate waits lets API servers see it for the whole time again', async () => {
  const shared = new Shared();
  await shared.replica().step();
  shared.nowMs += 61 * DAY;
  await shared.replica().step();
  shared.nowMs += 10 * SETTLE_MS;
  const fresh = shared.replica();
  assert.ok((await fresh.step()).isRotating);
  shared.nowMs += SETTLE_MS;
  assert.equal((await fresh.step()).isRotating, false);
});

test('a certificate that cannot be announced is not served', async () => {
  const shared = new Shared();
  const { certificate: old } = await shared.replica().step();
  shared.nowMs += 61 * DAY;
  const deaf = new CertificateRotation({
    store: shared.store,
    announce: () => Promise.reject(new Error('the API server is away')),
    names: ['injector.test'],
    lifeMs: DAY,
    settleMs: 0,
    now: () => shared.nowMs,
  });
  await assert.rejects(deaf.step(), /away/);
  await assert.rejects(deaf.step(), /away/);
  assert.equal(shared.stored?.current?.certificatePem, old.certificatePem);
});

test('a certificate that has ended is replaced at once: there is nothing better to serve', async () => {
  const shared = new Shared();
  const { certificate: old } = await shared.replica().step();
  shared.nowMs += 91 * DAY;
  const { certificate } = await shared.replica().step();
  assert.notEqual(certificate.certificatePem, old.certificatePem);
  assert.equal(shared.announced, certificate.certificatePem);
});

test('one for other names is replaced, and served until its successor is known', async () => {
  const shared = new Shared();
  const { certificate: old } = await shared.replica(['old.test']).step();
  const renamed = shared.replica(['injector.test', '10.0.0.1']);
  assert.equal((await renamed.step()).certificate.certificatePem, old.certificatePem);
  shared.nowMs += SETTLE_MS;
  assert.notEqual((await renamed.step()).certificate.certificatePem, old.certificatePem);
});

test('a Secret that somebody has damaged is made whole again', async () => {
  for (const damage of [
    {},
    { bundlePem: 'x' },
    { current: { certificatePem: 'x', keyPem: 'y' }, bundlePem: 'z' },
  ]) {
    const shared = new Shared();
    shared.stored = damage;
    const { certificate } = await shared.replica().step();
    assert.equal(shared.announced, certificate.certificatePem);
  }
  const shared = new Shared();
  const current = await shared.issue();
  shared.stored = { current, next: { certificatePem: 'x', keyPem: 'y' }, bundlePem: '' };
  const served = await shared.replica().step();
  assert.equal(served.certificate.certificatePem, current.certificatePem);
  assert.deepEqual(shared.stored, { current, bundlePem: current.certificatePem });
});

test('a certificate with another key, put into the Secret, is not served', async () => {
  const shared = new Shared();
  const [one, other] = [await shared.issue(), await shared.issue()];
  shared.stored = { current: { ...one, keyPem: other.keyPem }, bundlePem: one.certificatePem };
  assert.notEqual((await shared.replica().step()).certificate.certificatePem, one.certificatePem);
});

test('a store that another changes at each attempt is given up, and told', async () => {
  const store: CertificateStore = { read: async () => undefined, write: async () => false };
  const options = { store, announce: async () => {}, names: ['a.test'], lifeMs: DAY, settleMs: 0 };
  await assert.rejects(
    new CertificateRotation(options).step(),
    /other replicas changed the certificate at each attempt/,
  );
});
