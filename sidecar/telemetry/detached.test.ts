import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detached } from './detached.ts';

test('the text is the same, whatever its length and its characters', () => {
  const long = '/päth ☃\u0000\u{1f600} of a head that is long, '.repeat(40);
  for (let length = 0; length < 200; length++) {
    const text = long.slice(7, 7 + length);
    assert.equal(detached(text), text);
    assert.equal(detached(text).length, length);
  }
  assert.equal(detached(`${long.slice(3, 90)}...`), `${long.slice(3, 90)}...`);
});
