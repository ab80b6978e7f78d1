import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLimits } from './limits.ts';

const BASE = { connections: 1024, pending: 1024, requests: 4096 };

test('each limit, in any order; those left out stay as they were', () => {
  assert.deepEqual(parseLimits('connections 1, pending 2, requests 3', BASE), {
    limits: { connections: 1, pending: 2, requests: 3 },
  });
  assert.deepEqual(parseLimits(' requests  9999999 ', BASE), { limits: { ...BASE, requests: 9_999_999 } });
  assert.deepEqual(BASE, { connections: 1024, pending: 1024, requests: 4096 });
});

test('a part that is no limit is named, a limit of 0 and keys of every object too', () => {
  const wrong = [
    '',
    'connections',
    'connections 0',
    'connections -1',
    'connections 1.5',
    'conections 5',
    'requests 99999999',
  ];
  for (const part of [...wrong, '__proto__ 1', 'constructor 1', 'toString 5', 'requests 1 2']) {
    assert.deepEqual(
      parseLimits(`pending 5, ${part}`, BASE),
      {
        wrong: `has "${part}", which is no limit`,
        meant:
          'write connections, pending and requests with a count each, like "connections 1024, pending 1024, requests 4096"',
      },
      part,
    );
  }
});
