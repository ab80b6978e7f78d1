import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCircuitBreaker } from './circuit-breaker.ts';

const BASE = { failures: 5, ejectMinMs: 5_000, ejectMaxMs: 60_000, maxEjectedPercent: 50 };
const MEANT =
  'write failures COUNT, eject SHORTEST..LONGEST, max PERCENT%, like "failures 5, eject 5s..60s, max 50%"';

test('all parts, in any order', () => {
  const circuitBreaker = { failures: 3, ejectMinMs: 500, ejectMaxMs: 120_000, maxEjectedPercent: 10 };
  assert.deepEqual(parseCircuitBreaker('failures 3, eject 500ms..2m, max 10%', BASE), { circuitBreaker });
  assert.deepEqual(parseCircuitBreaker(' max 10% ,failures 3,eject  0.5s..120s', BASE), { circuitBreaker });
});

test('parts that are left out stay as they were, and the base is not changed', () => {
  const before = { ...BASE };
  assert.deepEqual(parseCircuitBreaker('failures 9', BASE), { circuitBreaker: { ...BASE, failures: 9 } });
  assert.deepEqual(parseCircuitBreaker('max 0%', BASE), {
    circuitBreaker: { ...BASE, maxEjectedPercent: 0 },
  });
  assert.deepEqual(BASE, before);
});

test('a part that is none is named', () => {
  const wrong = [
    '',
    'failures',
    'failures 0',
    'failures -1',
    'failures 1e3',
    'max 101%',
    'max 50',
    'eject 5s',
    'eject 5s..',
  ];
  for (const part of [...wrong, 'eject 0s..5s', 'eject 5s..25h', 'eject 5s...60s', 'off', '__proto__ 1']) {
    assert.deepEqual(
      parseCircuitBreaker(`failures 5, ${part}`, BASE),
      { wrong: `has "${part}", which is no part of a circuit breaker`, meant: MEANT },
      part,
    );
  }
});

test('a shortest time above the longest is refused, also against a longest that stays', () => {
  const told = { wrong: 'ejects for a shortest time that is above the longest', meant: MEANT };
  assert.deepEqual(parseCircuitBreaker('eject 60s..5s', BASE), told);
  assert.deepEqual(parseCircuitBreaker('failures 1', { ...BASE, ejectMinMs: 70_000 }), told);
  assert.ok('circuitBreaker' in parseCircuitBreaker('eject 5s..5s', BASE));
});
