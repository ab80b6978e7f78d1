import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sticky } from '../../protocol/steering.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { textHash } from '../http/text-hash.ts';
import { sticky } from './sticky.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function seen(
  policy: Sticky,
  lines: string[] = [],
  {
    listener = 'gateway' as const as 'gateway' | 'outbound',
    peerAddress = '10.0.0.1:1234',
    scheme = 'http',
  } = {},
) {
  const exchange = exchangeFor('/', lines, { listener });
  Object.assign(exchange, { peerAddress, scheme });
  sticky(policy, 'shop/web', () => 'made').onRequest?.(exchange, unused);
  return exchange;
}

test('a caller is known again by the first of the keys that it has', () => {
  const policy = { by: ['header:x-user', 'cookie:who', 'ip'] };
  assert.equal(seen(policy, ['X-User: ann', 'Cookie: who=bob']).sticky, textHash('ann'));
  assert.equal(seen(policy, ['Cookie: a=1; who=bob; b=2']).sticky, textHash('bob'));
  const byAddress = seen(policy, ['X-User:', 'Cookie: whom=bob; xwho=eve; who=']);
  assert.equal(byAddress.sticky, textHash('10.0.0.1'));
  assert.match(byAddress.policies[0]?.detail ?? '', /by its ip/);
  assert.equal(
    seen(policy, [], { peerAddress: '10.0.0.1:9999' }).sticky,
    byAddress.sticky,
    'whatever its port',
  );
});

test('a caller that has none of them is chosen for by chance', () => {
  const exchange = seen({ by: ['header:x-user'] });
  assert.deepEqual([exchange.sticky, exchange.policies, exchange.responseFields], [-1, [], '']);
});

test('who calls by a sidecar is the workload beside it; from outside nobody is known by identity', () => {
  assert.equal(seen({ by: ['client'] }, [], { listener: 'outbound' }).sticky, textHash('shop/web'));
  assert.equal(seen({ by: ['client'] }).sticky, -1);
});

test('a cookie is set where there is none, and tells neither script nor other sites', () => {
  const policy = { by: ['cookie:canary'], cookie: { name: 'canary', maxAge: 60 } };
  const first = seen(policy);
  assert.equal(first.sticky, textHash('made'));
  assert.equal(
    first.responseFields,
    'set-cookie: canary=made; Path=/; HttpOnly; SameSite=Lax; Max-Age=60\r\n',
  );
  const again = seen(policy, ['Cookie: canary=made']);
  assert.deepEqual([again.sticky, again.responseFields], [first.sticky, '']);
  assert.match(
    seen({ by: ['cookie:c'], cookie: { name: 'c' } }, [], { scheme: 'https' }).responseFields,
    /SameSite=Lax; Secure\r\n/,
  );
});

test('an endless key costs no more than a short one', () => {
  assert.equal(textHash('a'.repeat(100_000)), textHash('a'.repeat(256)));
});
