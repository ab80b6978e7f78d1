import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeName } from './node-name.ts';

test('a data plane that is started again at its address is the same to the store of quotas', () => {
  const name = nodeName(['127.0.0.1:15006', '127.0.0.1:0']);
  assert.match(name, /^[0-9a-f]{64}$/);
  assert.equal(nodeName(['127.0.0.1:15006', '127.0.0.1:0']), name);
  assert.notEqual(nodeName(['127.0.0.1:15007', '127.0.0.1:0']), name);
});

test('two that live must not have one share: who has no address of its own has a name of its own', () => {
  for (const listens of [[], ['127.0.0.1:0']]) assert.notEqual(nodeName(listens), nodeName(listens));
});
