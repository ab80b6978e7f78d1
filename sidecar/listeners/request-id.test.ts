import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRequestId, newRequestId } from './request-id.ts';

test('new ids are all different, and can be used as they are', () => {
  const ids = new Set(Array.from({ length: 10_000 }, newRequestId));
  assert.equal(ids.size, 10_000);
  for (const id of ids) assert.ok(isRequestId(id), id);
});

test('ids of the usual makers are kept', () => {
  for (const id of [
    '7f1d3c52-6a2b-4b1e-9d0f-5f0f3f6f2a11',
    '1-67891233-abcdef012345678912345678',
    'A_b.c:d',
    'a',
  ])
    assert.ok(isRequestId(id), id);
  assert.ok(isRequestId('a'.repeat(128)));
});

for (const [what, id] of [
  ['a line end', 'a\r\nset-cookie: x'],
  ['a line end at its end', 'a\n'],
  ['nothing', ''],
  ['a space', 'a b'],
  ['a slash, to reach another page of the admin port', '../config'],
  ['a percent sign', '%2e%2e'],
  ['a query', 'a?b'],
  ['markup', '<script>'],
  ['a quote', '"'],
  ['a letter beyond ASCII', '\xe9'],
  ['NUL', 'a\0'],
  ['129 letters', 'a'.repeat(129)],
] as const) {
  test(`an attacker's id of ${what} is not kept`, () => assert.ok(!isRequestId(id)));
}
