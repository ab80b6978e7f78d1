import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXTENSION_WRONG, extensionMayEnd, extensionStep, NAME_START } from './chunk-extension.ts';

/** Whether what stands between the first `;` and the line's end is right. */
function right(text: string): boolean {
  let state = NAME_START;
  for (const byte of Buffer.from(text, 'latin1')) {
    state = extensionStep(state, byte);
    if (state === EXTENSION_WRONG) return false;
  }
  return extensionMayEnd(state);
}

test('names, with tokens or quoted texts as values, one or several', () => {
  for (const text of [
    'a',
    'a=b',
    'a=""',
    'a="b c"',
    'a="\\""',
    'a="\\\\"',
    'a="b;c=\td"',
    'a="\xe9"',
    'a;b;c=d',
    'a="b";c',
    "!#$%&'*+-.^_`|~=x",
  ])
    assert.ok(right(text), text);
});

for (const [trick, text] of [
  ['no name', ''],
  ['no name before another', ';a'],
  ['no name after one', 'a;'],
  ['no name before a value', '=b'],
  ['no value', 'a='],
  ['no value before another', 'a=;b'],
  ['white space around', ' a'],
  ['white space after', 'a '],
  ['white space before a value', 'a= b'],
  ['an open quote', 'a="b'],
  ['a quote that a backslash keeps open', 'a="b\\"'],
  ['a text after a quoted one', 'a="b"c'],
  ['two values', 'a=b=c'],
  ['a quote inside a token', 'a=b"c"'],
  ['a line end inside quotes', 'a="b\r\nc"'],
  ['a bare LF inside quotes', 'a="b\nc"'],
  ['a bare CR behind a backslash', 'a="b\\\rc"'],
  ['NUL', 'a="\0"'],
  ['DEL', 'a="\x7f"'],
  ['a comma', 'a,b'],
] as const) {
  test(`refuses an attacker who writes ${trick}`, () => assert.ok(!right(text)));
}
