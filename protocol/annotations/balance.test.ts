import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBalance } from './balance.ts';

test('each strategy by its name', () => {
  for (const strategy of ['p2c-ewma', 'least-request', 'round-robin', 'random']) {
    assert.deepEqual(parseBalance(` ${strategy} `), { balance: { strategy } });
  }
});

test('hashing strategies with what to hash', () => {
  for (const hashOn of ['header:x-user', 'cookie:session_id', 'source', 'claim:sub.id']) {
    assert.deepEqual(parseBalance(`ring-hash ${hashOn}`), { balance: { strategy: 'ring-hash', hashOn } });
    assert.deepEqual(parseBalance(`maglev  ${hashOn}`), { balance: { strategy: 'maglev', hashOn } });
  }
});

test('other words, a hash without a key and a key without a hash are told', () => {
  const wrong = [
    '',
    'p2c',
    'P2C-EWMA',
    'ring-hash',
    'maglev',
    'ring-hash x-user',
    'ring-hash header:',
    'ring-hash header:a header:b',
    'ring-hash header:x user',
    'ring-hash header:x\u0000',
    'round-robin header:x-user',
    'constructor',
    '__proto__',
  ];
  for (const text of wrong) {
    assert.deepEqual(
      parseBalance(text),
      {
        wrong: 'is not a way to balance',
        meant:
          'write p2c-ewma, least-request, round-robin, random, or ring-hash or maglev with what to hash, like "ring-hash header:x-user"',
      },
      text,
    );
  }
});
