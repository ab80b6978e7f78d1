import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRewrite } from './rewrite.ts';

test('paths and headers are rewritten by expressions', () => {
  assert.deepEqual(
    parseRewrite(
      'path /v1/(.*) -> /v2/$1; header X-User: (.*)@.* -> $1\nresponse-header location: http:(.*) -> https:$1',
    ),
    {
      rewrites: [
        { what: 'path', name: '', expression: '/v1/(.*)', replacement: '/v2/$1' },
        { what: 'header', name: 'x-user', expression: '(.*)@.*', replacement: '$1' },
        { what: 'response-header', name: 'location', expression: 'http:(.*)', replacement: 'https:$1' },
      ],
    },
  );
  assert.deepEqual(parseRewrite('header authorization: Bearer (.+) -> Token $1'), {
    rewrites: [{ what: 'header', name: 'authorization', expression: 'Bearer (.+)', replacement: 'Token $1' }],
  });
  assert.deepEqual(parseRewrite('header x: .+ ->'), {
    rewrites: [{ what: 'header', name: 'x', expression: '.+', replacement: '' }],
  });
  assert.deepEqual(parseRewrite('off'), { unset: 'rewrites' });
});

test('an expression whose cost a caller could drive up, and a reference to no group, are refused', () => {
  for (const [text, why] of [
    ['path /(a)\\1 -> /b', /linear time/],
    ['path /(?=a)a -> /b', /linear time/],
    ['path /( -> /b', /no regular expression/],
    ['path /(a) -> /$2', /no group \$2/],
    ['path /(a) -> /$0', /no group \$0/],
    ['path /(a) -> /$&', /stands for nothing/],
    ['path /(a) -> b', /no path/],
    ['path /(a) -> /b c', /no path/],
    ['path /(a) ->', /no path/],
    ['header x: a -> \u0001', /no header value/],
    ['header host: a -> b', /no rewrite/],
    ['header content-length: 1 -> 2', /no rewrite/],
    ['query a -> b', /no rewrite/],
    ['path /a', /no rewrite/],
    ['', /no rewrite/],
    [Array(17).fill('path /a -> /b').join('\n'), /more than 16/],
  ] as const) {
    const read = parseRewrite(text);
    assert.match('wrong' in read ? read.wrong : 'taken', why, text);
  }
});
