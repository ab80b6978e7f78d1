import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { deadAddress } from '../../test/fixture/free-port.ts';
import { until } from '../../test/fixture/wait.ts';
import { type LeafOptions, type TestAuthority, testAuthority } from './authority.fixture.ts';
import { type StandIn, standIn } from './control-plane.fixture.ts';
import type { Identity, IdentitySource } from './identity.ts';
import { impostor } from './impostor.fixture.ts';
import { requestIdentity } from './requested-identity.ts';

const NEVER_MS = 3_600_000;
const ORDERS = 'URI:spiffe://mesh.local/ns/shop/sa/orders';

let authority: TestAuthority;
before(async () => {
  authority = await testAuthority();
});

interface Requested {
  readonly source: IdentitySource;
  readonly told: Identity[];
  /** Why it did not get a certificate, each time. */
  readonly failures: string[];
  /** How often the token was read. */
  readonly reads: number;
}

function requested(
  context: TestContext,
  controlPlane: readonly string[],
  token: () => string = () => 'join-token',
  bundle: () => string = () => authority.bundlePem,
): Requested {
  const failures: string[] = [];
  const told: Identity[] = [];
  let reads = 0;
  const warn = (details: object) => void failures.push('error' in details ? String(details.error) : '');
  const source = requestIdentity({
    controlPlane,
    bundle,
    token: () => {
      reads++;
      return token();
    },
    log: { debug() {}, info() {}, warn, error() {} },
  });
  source.onChange((identity) => told.push(identity));
  context.after(() => source.close());
  return {
    source,
    told,
    failures,
    get reads() {
      return reads;
    },
  };
}

/** What an authority answers to a request. */
async function granted(csrPem: string, renewAfterMs: number, more: LeafOptions & { workload?: string } = {}) {
  const { workload = 'shop/orders', ...options } = more;
  const { chainPem } = await authority.issue(workload, { csrPem, ...options });
  const body = { chain: chainPem, bundle: authority.bundlePem, notAfter: '', renewAfterMs };
  return { status: 200, body };
}

async function granting(context: TestContext, renewAfterMs: number): Promise<StandIn> {
  const plane = await standIn(context, authority);
  plane.onIdentity = ({ csr }) => granted(csr, renewAfterMs);
  return plane;
}

test('the first certificate is got by the token and without another', async (context) => {
  const plane = await granting(context, NEVER_MS);
  const { source, told } = requested(context, [plane.address]);
  assert.equal(source.current(), undefined);
  await until('the certificate', () => told.length > 0);
  assert.deepEqual(
    plane.asked.map(({ token, peer }) => ({ token, peer })),
    [{ token: 'join-token', peer: undefined }],
  );
  assert.equal(source.current()?.workload, 'shop/orders');
  assert.equal(source.current(), told[0]);
  assert.equal(source.lastError(), undefined);
  assert.ok(!JSON.stringify(plane.asked).includes('PRIVATE'), 'the key stays here');
});

test('a renewal is asked for by the certificate there is, for a new key, without the token; listeners are told', async (context) => {
  const plane = await granting(context, 5);
  const wanted = requested(context, [plane.address]);
  const stopped: Identity[] = [];
  wanted.source.onChange((identity) => stopped.push(identity))();
  await until('two renewals', () => wanted.told.length >= 3);
  const [first, ...renewals] = plane.asked;
  assert.equal(first?.token, 'join-token');
  for (const { token, peer } of renewals) assert.deepEqual([token, peer], [undefined, ORDERS]);
  assert.equal(wanted.reads, 1);
  assert.equal(new Set(wanted.told.map(({ keyPem }) => keyPem)).size, wanted.told.length);
  assert.deepEqual(stopped, [], 'who stopped listening is not told');
});

test('once the certificate has ended, the token is read anew: it may have changed meanwhile', async (context) => {
  const plane = await standIn(context, authority);
  plane.onIdentity = ({ csr }) => granted(csr, 1, { lifeMs: -1000 });
  const tokens = ['first', 'second'];
  requested(context, [plane.address], () => tokens.shift() ?? 'third');
  await until('the requests', () => plane.asked.length >= 2);
  assert.deepEqual(
    plane.asked.slice(0, 2).map(({ token, peer }) => ({ token, peer })),
    [
      { token: 'first', peer: undefined },
      { token: 'second', peer: undefined },
    ],
  );
});

test('an authority that is away is told, the next one is asked, and then the error is gone', async (context) => {
  const dead = await deadAddress();
  const plane = await granting(context, NEVER_MS);
  const { source, told, failures } = requested(context, [dead, plane.address]);
  await until('the failure', () => failures.length > 0);
  assert.match(failures[0] ?? '', new RegExp(`^the authority at ${dead}: .*ECONNREFUSED`));
  await until('the certificate', () => told.length > 0);
  assert.equal(source.lastError(), undefined);
});

test('while no authority answers, the certificate there is stays in use, and the error is told', async (context) => {
  const plane = await granting(context, 5);
  const { source, failures } = requested(context, [plane.address]);
  await until('the certificate', () => source.current() !== undefined);
  plane.close();
  await until('the failure', () => failures.length > 0);
  assert.equal(source.current()?.workload, 'shop/orders');
  assert.match(source.lastError() ?? '', /^the authority at /);
});

test('an authority that fails, refuses, breaks off or talks nonsense is asked again, until it gives a certificate', async (context) => {
  const plane = await standIn(context, authority);
  const other = await authority.issue('shop/orders');
  const cases: [StandIn['onIdentity'], RegExp][] = [
    [
      async () => ({ status: 403, body: { code: 'ERR_TOKEN', message: 'the join token has expired' } }),
      /^the authority at \S+: the join token has expired$/,
    ],
    [async () => ({ status: 503, body: {} }), /: status 503$/],
    [async () => ({ status: 200, body: 'garbage' }), /JSON/],
    [async () => ({ status: 200, body: '' }), /JSON/],
    [async () => ({ status: 200, body: ' '.repeat(300_000) }), /: its answer is too long$/],
    [async (_asked, stream) => void stream.session?.destroy(), /^the authority at /],
    [async (_asked, stream) => void stream.close(8), /^the authority at /],
    [async () => ({ status: 200, body: { chain: '', bundle: '' } }), /^the certificate is not PEM/],
    [
      async () => ({ status: 200, body: { chain: other.chainPem, bundle: authority.bundlePem } }),
      /^the key is not that of the certificate$/,
    ],
  ];
  plane.onIdentity = async (asked, stream) => {
    const [answer] = cases[plane.asked.length - 1] ?? [];
    return answer === undefined ? granted(asked.csr, NEVER_MS) : answer(asked, stream);
  };
  // Waiting grows with each failure: chance is made small here.
  context.mock.method(Math, 'random', () => 0.001);
  const { source, failures, told } = requested(context, [plane.address]);
  await until('the certificate', () => told.length > 0);
  assert.equal(failures.length, cases.length);
  for (const [index, [, message]] of cases.entries()) assert.match(failures[index] ?? '', message);
  assert.ok(!failures.join().includes('join-token'), 'no message has the token');
  assert.equal(source.lastError(), undefined);
});

test('a renewal that names another workload is refused', async (context) => {
  const plane = await standIn(context, authority);
  plane.onIdentity = ({ csr, token }) =>
    granted(csr, 1, { workload: token === undefined ? 'shop/bank' : 'shop/orders' });
  const { source, told, failures } = requested(context, [plane.address]);
  await until('the refusal', () => failures.length > 0);
  assert.equal(
    failures[0],
    'the authority renewed spiffe://mesh.local/ns/shop/sa/orders as spiffe://mesh.local/ns/shop/sa/bank',
  );
  assert.equal(source.current()?.workload, 'shop/orders');
  assert.equal(told.length, 1);
});

test('an attacker at the address, with a certificate of the same authority for a workload, never sees the token', async (context) => {
  const { keyPem, chainPem } = await authority.issue('shop/thief');
  const thief = await impostor(context, { key: keyPem, cert: chainPem });
  const plane = await granting(context, NEVER_MS);
  const { told, failures } = requested(context, [thief.address, thief.address, plane.address]);
  await until('the certificate of the real one', () => told.length > 0);
  await until('the end of both', () => thief.over === 2);
  assert.equal(thief.received, '');
  assert.equal(failures.length, 2);
  for (const failure of failures)
    assert.match(failure, /who answers is not the control plane: its certificate names "URI:.*thief"/);
  assert.equal(plane.asked[0]?.token, 'join-token', 'the real one did');
});

test('a token that cannot be read is an error that is told, and it is read again', async (context) => {
  const plane = await granting(context, NEVER_MS);
  let there = false;
  const { told, failures } = requested(context, [plane.address], () => {
    if (there) return 'join-token';
    there = true;
    throw new Error('ENOENT: /run/token');
  });
  await until('the certificate', () => told.length > 0);
  assert.deepEqual(failures, ['ENOENT: /run/token']);
});

test('after close() nobody is asked and nobody is told', async (context) => {
  const plane = await standIn(context, authority);
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  let over = false;
  plane.onIdentity = async ({ csr }, stream) => {
    await held;
    stream.on('close', () => {
      over = true;
    });
    return granted(csr, 1);
  };
  const { source, told, failures } = requested(context, [plane.address]);
  await until('the request', () => plane.asked.length === 1);
  source.close();
  answer();
  await until('the end of the answer', () => over);
  const witness = await granting(context, 1);
  const other = requested(context, [witness.address]);
  await until('renewals elsewhere', () => other.told.length > 5);
  assert.deepEqual([told, failures, source.current()], [[], [], undefined]);
  assert.equal(plane.asked.length, 1);
});

test('roots that were replaced are learned from the file, where the authority is of none of those known', async (context) => {
  const next = await testAuthority();
  const before = await granting(context, 1);
  let reads = 0;
  const addresses = [before.address];
  const { source, failures } = requested(
    context,
    addresses,
    () => 'join-token',
    () => (reads++ === 0 ? authority.bundlePem : next.bundlePem),
  );
  await until('renewals', () => before.asked.length > 2);
  assert.equal(reads, 1, 'while the roots are known the file is not looked at');
  const replaced = await standIn(context, next);
  replaced.onIdentity = async ({ csr }) => {
    const { chainPem } = await next.issue('shop/orders', { csrPem: csr });
    const body = { chain: chainPem, bundle: next.bundlePem, notAfter: '', renewAfterMs: NEVER_MS };
    return { status: 200, body };
  };
  addresses.splice(0, 1, replaced.address);
  await until('the other root', () => source.current()?.bundlePem === next.bundlePem);
  assert.ok(failures.length > 0);
  assert.equal(source.lastError(), undefined);
});

test('an authority that cannot say now is asked again, with the token as it is then', async (context) => {
  const plane = await standIn(context, authority);
  plane.onIdentity = async ({ csr, token }) =>
    token === 'third'
      ? granted(csr, NEVER_MS)
      : { status: 503, body: { code: 'ERR_UNAVAILABLE', message: 'try again' } };
  const tokens = ['first', 'second', 'third'];
  const { told, failures } = requested(context, [plane.address], () => tokens.shift() ?? '');
  await until('the certificate', () => told.length > 0);
  assert.deepEqual(
    failures.map((failure) => failure.replace(/^.*: /, '')),
    ['try again', 'try again'],
  );
});

test('a renewal that is refused by the certificate is asked for by the token, and so in turn', async (context) => {
  const plane = await standIn(context, authority);
  plane.onIdentity = async ({ csr, token }) =>
    token === undefined
      ? { status: 403, body: { code: 'ERR_NOT_ALLOWED', message: 'gone' } }
      : granted(csr, 5);
  const { told } = requested(context, [plane.address]);
  await until('two renewals', () => told.length >= 3);
  assert.deepEqual(
    plane.asked.slice(0, 5).map(({ token }) => token),
    ['join-token', undefined, 'join-token', undefined, 'join-token'],
  );
});
