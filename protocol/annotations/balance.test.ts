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

test('parts after the strategy, in any order', () => {
  assert.deepEqual(parseBalance('p2c-ewma, slow-start 30s, subset 20 ,warm 2, zone prefer, panic 40%'), {
    balance: {
      strategy: 'p2c-ewma',
      slowStartMs: 30_000,
      subset: 20,
      warm: 2,
      zone: 'prefer',
      panicPercent: 40,
    },
  });
  assert.deepEqual(parseBalance('random,zone off,panic 0%'), {
    balance: { strategy: 'random', zone: 'off', panicPercent: 0 },
  });
  assert.deepEqual(parseBalance('ring-hash header:x-user, bounded 150%, warm 1'), {
    balance: { strategy: 'ring-hash', hashOn: 'header:x-user', boundedPercent: 150, warm: 1 },
  });
});

test('a part that is none, or that its strategy does not have, is named', () => {
  const wrong: [strategy: string, part: string][] = [
    ['p2c-ewma', ''],
    ['p2c-ewma', 'bounded 150%'],
    ['p2c-ewma', 'slow-start'],
    ['p2c-ewma', 'slow-start 30'],
    ['p2c-ewma', 'slow-start 30s 40s'],
    ['p2c-ewma', 'subset 1'],
    ['p2c-ewma', 'subset 1e3'],
    ['p2c-ewma', 'subset 99999'],
    ['p2c-ewma', 'warm 0'],
    ['p2c-ewma', 'warm 101'],
    ['p2c-ewma', 'zone a'],
    ['p2c-ewma', 'panic 101%'],
    ['p2c-ewma', 'panic 50'],
    ['p2c-ewma', '__proto__ 1'],
    ['p2c-ewma', 'constructor 1'],
    ['ring-hash source', 'bounded 100%'],
    ['ring-hash source', 'bounded 1001%'],
    ['ring-hash source', 'slow-start 30s'],
    ['maglev source', 'subset 20'],
    ['maglev source', 'zone prefer'],
  ];
  for (const [strategy, part] of wrong) {
    const read = parseBalance(`${strategy}, panic 1%, ${part}`);
    assert.ok('wrong' in read, part);
    assert.equal(read.wrong, `has "${part}", which is no part of a ${strategy.split(' ', 1)[0]}`);
    assert.match(read.meant, /^write after the strategy/);
  }
});
