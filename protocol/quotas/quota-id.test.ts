import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf } from './limits.fixture.ts';
import { quotaIds } from './quota-id.ts';

test('each limit has a name of its own, also two that differ in their numbers only', () => {
  assert.deepEqual(
    quotaIds('shop/orders', limitsOf('10/s by client; 99/s by client; 5/m by ip, path; 5/s')),
    [
      'shop/orders#token-bucket:1000:client',
      'shop/orders#token-bucket:1000:client:2',
      'shop/orders#token-bucket:60000:ip+path',
      'shop/orders#token-bucket:1000:',
    ],
  );
});

test('a limit whose numbers change keeps its name', () => {
  assert.deepEqual(
    quotaIds('a/b', limitsOf('10/s burst 5 by client')),
    quotaIds('a/b', limitsOf('7/s by client')),
  );
});
