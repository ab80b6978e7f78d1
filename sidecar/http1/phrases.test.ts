import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { test } from 'node:test';
import { phrase } from '../http/phrases.ts';
import { PROBLEMS } from './problems.ts';

test('every status that the engine refuses a message with has a phrase', () => {
  for (const { status } of Object.values(PROBLEMS)) assert.notEqual(phrase(status), 'Status', String(status));
});

test('phrases are those of RFC 9110, as Node has them', () => {
  let known = 0;
  for (let status = 100; status < 600; status++) {
    if (phrase(status) === 'Status') continue;
    assert.equal(phrase(status), STATUS_CODES[status], String(status));
    known++;
  }
  assert.ok(known > 15);
});

test('an unknown status has a phrase too: the line needs none, but some readers do', () => {
  assert.equal(phrase(299), 'Status');
});
