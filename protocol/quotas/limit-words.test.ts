import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRateLimit } from '../annotations/rate-limit.ts';
import { limitWords } from './limit-words.ts';

test('a limit is told as it is written', () => {
  const written = [
    '100/s',
    '5/m burst 9 by client',
    'window 10/h by ip,path',
    'estimate 7/d',
    'concurrent 50 by api-key',
  ];
  const parsed = parseRateLimit(written.join('; '));
  assert.ok('rateLimits' in parsed);
  assert.deepEqual(parsed.rateLimits?.map(limitWords), written);
});
