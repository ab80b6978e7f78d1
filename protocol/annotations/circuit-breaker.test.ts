import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CircuitBreakerSettings } from '../traffic-policy.ts';
import { parseCircuitBreaker } from './circuit-breaker.ts';

const BASE: CircuitBreakerSettings = {
  failures: 5,
  ejectMinMs: 5_000,
  ejectMaxMs: 60_000,
  maxEjectedPercent: 50,
};
const MEANT =
  'write failures COUNT, eject SHORTEST..LONGEST, max PERCENT%, success PERCENT% of COUNT in TIME, like "failures 5, eject 5s..60s, max 50%", or off';

function parse(text: string, base: CircuitBreakerSettings | undefined = BASE) {
  return parseCircuitBreaker(text, base && { circuitBreaker: base });
}

test('all parts, in any order', () => {
  const circuitBreaker = { failures: 3, ejectMinMs: 500, ejectMaxMs: 120_000, maxEjectedPercent: 10 };
  assert.deepEqual(parse('failures 3, eject 500ms..2m, max 10%'), { circuitBreaker });
  assert.deepEqual(parse(' max 10% ,failures 3,eject  0.5s..120s'), { circuitBreaker });
  const success = { percent: 50, count: 20, windowMs: 10_000 };
  assert.deepEqual(parse('success  50% of 20 in 10s, failures 5'), { circuitBreaker: { ...BASE, success } });
});

test('parts that are left out stay as they were, and the base is not changed', () => {
  const before = { ...BASE };
  assert.deepEqual(parse('failures 9'), { circuitBreaker: { ...BASE, failures: 9 } });
  assert.deepEqual(parse('max 0%'), { circuitBreaker: { ...BASE, maxEjectedPercent: 0 } });
  const success = { percent: 90, count: 100, windowMs: 60_000 };
  assert.deepEqual(parse('failures 9', { ...BASE, success }), {
    circuitBreaker: { ...BASE, success, failures: 9 },
  });
  assert.deepEqual(parse('success off', { ...BASE, success }), { circuitBreaker: BASE });
  assert.deepEqual(BASE, before);
});

test('it can be turned off, and on again over that by any part', () => {
  assert.deepEqual(parse(' off '), { unset: 'circuitBreaker' });
  assert.deepEqual(parseCircuitBreaker('failures 9', {}), { circuitBreaker: { ...BASE, failures: 9 } });
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
    'eject 0s..5s',
    'eject 5s..25h',
    'eject 5s...60s',
    'success 0% of 20 in 10s',
    'success 101% of 20 in 10s',
    'success 50% of 0 in 10s',
    'success 50% of 20 in 999ms',
    'success 50% of 20 in 11m',
    'success 50% of 20',
    'success 50%',
    'off',
    '__proto__ 1',
  ];
  for (const part of wrong) {
    assert.deepEqual(
      parse(`failures 5, ${part}`),
      { wrong: `has "${part}", which is no part of a circuit breaker`, meant: MEANT },
      part,
    );
  }
});

test('a shortest time above the longest is refused, also against a longest that stays', () => {
  const told = { wrong: 'ejects for a shortest time that is above the longest', meant: MEANT };
  assert.deepEqual(parse('eject 60s..5s'), told);
  assert.deepEqual(parse('failures 1', { ...BASE, ejectMinMs: 70_000 }), told);
  assert.ok('circuitBreaker' in parse('eject 5s..5s'));
});
