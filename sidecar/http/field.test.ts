import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field, fieldsOf } from './field.ts';

test('whole lines are read with their names in lower case and their values trimmed', () => {
  assert.deepEqual(fieldsOf('X-A: 1\r\nb:2\r\nC: \t v: w \t\r\nempty:\r\n'), [
    new Field('x-a', '1'),
    new Field('b', '2'),
    new Field('c', 'v: w'),
    new Field('empty', ''),
  ]);
});

test('no lines are no fields', () => assert.deepEqual(fieldsOf(''), []));

test('a line without its end or its colon ends the reading: nothing is made of it', () => {
  assert.deepEqual(fieldsOf('a: 1\r\nb: 2'), [new Field('a', '1')]);
  assert.deepEqual(fieldsOf('a: 1\r\nno colon\r\nb: 2\r\n'), [new Field('a', '1')]);
});

test('characters of latin1 stay, also those that trim takes for spaces', () => {
  assert.deepEqual(fieldsOf('a: \xe9\xff\r\n'), [new Field('a', '\xe9\xff')]);
  assert.deepEqual(fieldsOf('a: x\xa0\r\n'), [new Field('a', 'x\xa0')]);
});

test('a field is kept in compression tables unless it is said not to be', () => {
  assert.equal(new Field('a', '1').sensitive, false);
  assert.equal(new Field('a', '1', true).sensitive, true);
});
