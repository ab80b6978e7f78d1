import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSticky } from './sticky.ts';

test('callers are known by what they send, by who they are, or by a cookie that is set', () => {
  assert.deepEqual(parseSticky('header:X-User, ip'), { sticky: { by: ['header:x-user', 'ip'] } });
  assert.deepEqual(parseSticky('client'), { sticky: { by: ['client'] } });
  assert.deepEqual(parseSticky('cookie:Session'), { sticky: { by: ['cookie:Session'] } });
  assert.deepEqual(parseSticky('header:x-user, cookie:canary set'), {
    sticky: { by: ['header:x-user', 'cookie:canary'], cookie: { name: 'canary' } },
  });
  assert.deepEqual(parseSticky('cookie:canary set 12h'), {
    sticky: { by: ['cookie:canary'], cookie: { name: 'canary', maxAge: 43_200 } },
  });
  assert.deepEqual(parseSticky('off'), { unset: 'sticky' });
});

test('what tells no caller from another is refused', () => {
  for (const text of [
    '',
    'path',
    'header:',
    'header:a b',
    'ip,',
    'ip set',
    'cookie:a=b',
    'cookie:canary set 12',
    'cookie:canary set 12h more',
    'cookie:__Host-canary set',
    'ip, ip, ip, ip, ip',
  ])
    assert.ok('wrong' in parseSticky(text), text);
});

test('an attacker who writes blanks and nothing else for long stops nobody who reads it', () => {
  assert.ok('wrong' in parseSticky(`ip${' '.repeat(200_000)}x`));
});
