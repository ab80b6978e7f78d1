import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { V1TokenReviewStatus } from '@kubernetes/client-node';
import { UnsecuredJWT } from 'jose';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import { AuthorityError } from './authority-error.ts';
import { subjectOf, tokenReviewer } from './token-review.ts';

const token = (audience: string | string[] = 'tulle') => new UnsecuredJWT({ aud: audience }).encode();
const GOOD: V1TokenReviewStatus = {
  authenticated: true,
  audiences: ['tulle'],
  user: {
    username: 'system:serviceaccount:shop:orders',
    extra: { 'authentication.kubernetes.io/pod-name': ['orders-1'] },
  },
};

async function reviewer(context: TestContext, status: V1TokenReviewStatus = GOOD) {
  const fake: FakeApiServer = await fakeApiServer(context);
  fake.intercept = () => ({ status: 201, body: { spec: {}, status } });
  const api = openApiServer(fake.kubeConfig);
  context.after(() => api.close());
  return { fake, review: tokenReviewer(api) };
}

const code = (expected: string, message: RegExp) => (error: unknown) =>
  error instanceof AuthorityError && error.code === expected && message.test(error.message);

test('a token that the API server knows is that of its service account and pod', async (context) => {
  const { fake, review } = await reviewer(context);
  const given = token(['api', 'tulle']);
  assert.deepEqual(await review(given), { workload: 'shop/orders', pod: 'orders-1' });
  assert.deepEqual(fake.calls[0]?.body?.spec, { token: given, audiences: ['tulle'] });
  assert.equal(fake.calls[0]?.path, '/apis/authentication.k8s.io/v1/tokenreviews');
});

test('an attacker gets nothing by a review that names no service account, another audience, or nobody', () => {
  const user = (username: string) => ({ ...GOOD, user: { username } });
  const cases: [V1TokenReviewStatus | undefined, RegExp][] = [
    [undefined, /does not accept the token/],
    [{ ...GOOD, authenticated: false, error: 'service account token has expired' }, /has expired/],
    [{ authenticated: true, user: GOOD.user ?? {} }, /not for the audience tulle/],
    [{ ...GOOD, audiences: ['https://kubernetes.default.svc'] }, /not for the audience tulle/],
    [{ authenticated: true, audiences: ['tulle'] }, /not that of a service account/],
    [user('admin'), /not that of a service account/],
    [user('system:node:n1'), /not that of a service account/],
    [user('system:serviceaccount:shop'), /not that of a service account/],
    [user('system:serviceaccount:shop:orders:x'), /not that of a service account/],
    [user('system:serviceaccount:shop/../bank:orders'), /not that of a service account/],
    [user('x:system:serviceaccount:shop:orders'), /not that of a service account/],
  ];
  for (const [status, message] of cases)
    assert.throws(() => subjectOf(status), code('ERR_TOKEN', message), JSON.stringify(status));
});

test('what can never be right is refused without asking the API server', async (context) => {
  const { fake, review } = await reviewer(context);
  await assert.rejects(review(''), code('ERR_TOKEN', /is no service account token/));
  await assert.rejects(review('a.b.c'), code('ERR_TOKEN', /is no service account token/));
  await assert.rejects(review(token('vault')), code('ERR_TOKEN', /project one with "audience: tulle"/));
  const long = new UnsecuredJWT({ aud: 'tulle', filling: 'x'.repeat(9000) }).encode();
  await assert.rejects(review(long), code('ERR_TOKEN', /too long/));
  assert.equal(fake.calls.length, 0);
});

test('an API server that fails, forbids or is away is no refusal: it is worth to try again, and the token is not told', async (context) => {
  const { fake, review } = await reviewer(context);
  const given = token();
  for (const [status, message] of [
    [500, /it answered 500/],
    [429, /it answered 429/],
    [403, /it answered 403: no right/],
  ] as const) {
    fake.intercept = () => ({ status, body: { message: 'no right' } });
    await assert.rejects(review(given), code('ERR_UNAVAILABLE', message));
  }
  fake.intercept = () => ({ status: 201, body: { spec: {}, status: GOOD } });
  assert.deepEqual(await review(given), { workload: 'shop/orders', pod: 'orders-1' });
  context.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort(new DOMException('', 'TimeoutError')));
  await assert.rejects(
    review(given),
    (error: Error) =>
      code('ERR_UNAVAILABLE', /no answer within 5000 ms/)(error) && !error.message.includes(given),
  );
});

test('a flood of tokens waits its turn, and beyond a bound is told to try again; after it all goes on', async (context) => {
  const { fake, review } = await reviewer(context);
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let most = 0;
  let under = 0;
  fake.intercept = async () => {
    most = Math.max(most, ++under);
    await held;
    under--;
    return { status: 201, body: { spec: {}, status: GOOD } };
  };
  const results = Array.from({ length: 600 }, () =>
    review(token()).then(
      () => 'given',
      (error: AuthorityError) => error.code,
    ),
  );
  await until('as many as there may be', () => under === 32);
  release();
  const codes = await Promise.all(results);
  assert.equal(codes.filter((one) => one === 'given').length, 32 + 512);
  assert.equal(codes.filter((one) => one === 'ERR_UNAVAILABLE').length, 600 - 32 - 512);
  assert.equal(most, 32);
  assert.deepEqual(await review(token()), { workload: 'shop/orders', pod: 'orders-1' });
});
