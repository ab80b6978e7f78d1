import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { formatProblem } from './problem.ts';
import { fieldPath, schemaProblems } from './schema-problems.ts';

const SCHEMA = z.strictObject({
  name: z.string().max(5),
  count: z.int().min(1).max(9).optional(),
  flag: z.boolean().optional(),
  list: z.array(z.strictObject({ key: z.string(), weight: z.number().optional() })).optional(),
  map: z.record(z.string(), z.string()).optional(),
  mode: z.enum(['fast', 'slow']).optional(),
  port: z.int({ error: 'is not a port; write 1 to 65535' }).optional(),
  either: z.union([z.string(), z.strictObject({ address: z.string() })]).optional(),
  shape: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('circle'), radius: z.number() }),
      z.strictObject({ type: z.literal('square'), side: z.number() }),
    ])
    .optional(),
  token: z.int().optional(),
  any: z.custom((value) => value !== 'odd').optional(),
});

/** What is told of a value, one line a problem, without the file. */
function told(value: unknown): string[] {
  const { error } = SCHEMA.safeParse(value);
  assert.ok(error, 'nothing is wrong');
  return schemaProblems(SCHEMA, error, value, ['docs', 0], { file: 'm.yaml', locate: () => undefined }).map(
    (problem) => formatProblem(problem).replace('m.yaml docs[0]', ''),
  );
}

test('a path is written with dots and brackets', () => {
  assert.equal(
    fieldPath(['services', 0, 'annotations', 'tulle.dev/timeout']),
    'services[0].annotations.tulle.dev/timeout',
  );
  assert.equal(fieldPath([0, 1]), '[0][1]');
  assert.equal(fieldPath([]), '');
  assert.equal(fieldPath(['x'.repeat(1_000_000)]).length, 100);
});

test('a value of another type is told with the type that was meant', () => {
  assert.deepEqual(told({ name: 5 }), ['.name: 5 is not a text (put it in quotes)']);
  assert.deepEqual(told({ name: 'a', flag: 'yes' }), ['.flag: "yes" is not true or false']);
  assert.deepEqual(told({ name: 'a', count: 1.5 }), ['.count: 1.5 is not a whole number']);
  assert.deepEqual(told({ name: 'a', list: {} }), ['.list: a mapping is not a list']);
  assert.deepEqual(told({ name: 'a', map: [] }), ['.map: a list is not a mapping']);
  assert.deepEqual(told({ name: 'a', map: { b: 1 } }), ['.map.b: 1 is not a text (put it in quotes)']);
  assert.deepEqual(told(null), [': null is not a mapping']);
  assert.deepEqual(told([]), [': a list is not a mapping']);
});

test('what is missing is told as missing, also where the schema has words of its own', () => {
  assert.deepEqual(told({}), ['.name: is missing; write a text (put it in quotes)']);
  assert.deepEqual(told({ name: 'a', list: [{}] }), [
    '.list[0].key: is missing; write a text (put it in quotes)',
  ]);
  const own = z.object({
    port: z.int({ error: 'is not a port; write 1 to 65535' }),
    kind: z.literal('Service'),
  });
  const { error } = own.safeParse({});
  assert.ok(error);
  const problems = schemaProblems(own, error, {}, [], { file: 'm', locate: () => undefined });
  assert.deepEqual(
    problems.map(({ field, message, meant }) => `${field} ${message}; ${meant}`),
    ['port is missing; write 1 to 65535', 'kind is missing; write Service'],
  );
});

test('numbers and texts beyond their bounds are told with the bound', () => {
  assert.deepEqual(told({ name: 'a', count: 10 }), ['.count: 10 is too large; at most 9']);
  assert.deepEqual(told({ name: 'a', count: 0 }), ['.count: 0 is too small; at least 1']);
  assert.deepEqual(told({ name: 'abcdef' }), ['.name: "abcdef" is too large; at most 5']);
});

test('of a choice, all choices are told', () => {
  assert.deepEqual(told({ name: 'a', mode: 'quick' }), [
    '.mode: "quick" is not allowed here; write fast or slow',
  ]);
  assert.deepEqual(told({ name: 'a', shape: { type: 'line' } }), [
    '.shape.type: "line" is none of what can stand here; write circle, square',
  ]);
  assert.deepEqual(told({ name: 'a', shape: {} }), ['.shape.type: is missing; write circle, square']);
});

test("a schema's own words are taken as they are", () => {
  assert.deepEqual(told({ name: 'a', port: 'http' }), ['.port: "http" is not a port; write 1 to 65535']);
  assert.deepEqual(told({ name: 'a', any: 'odd' }), ['.any: "odd" is wrong: Invalid input']);
});

test('of two forms, that of the value is the one that was meant', () => {
  assert.deepEqual(told({ name: 'a', either: { adress: 'x' } }), [
    '.either.address: is missing; write a text (put it in quotes)',
    '.either.adress: "adress" is not a field that is known here; perhaps address was meant',
  ]);
  assert.deepEqual(told({ name: 'a', either: 5 }), ['.either: 5 is not a text (put it in quotes)']);
});

test('a field that is not known is told with a guess, or with those that are known, at every depth', () => {
  assert.deepEqual(told({ name: 'a', flags: true }), [
    '.flags: "flags" is not a field that is known here; perhaps flag was meant',
  ]);
  assert.deepEqual(told({ name: 'a', list: [{ key: 'k', xyz: 1 }] }), [
    '.list[0].xyz: "xyz" is not a field that is known here; known here: key, weight',
  ]);
  assert.deepEqual(told({ name: 'a', shape: { type: 'square', side: 1, sid: 2 } }), [
    '.shape.sid: "sid" is not a field that is known here; perhaps side was meant',
  ]);
});

test('several problems are all told', () => {
  assert.deepEqual(told({ name: 5, mode: 'x', zzz: 1 }).length, 3);
});

test('the value of a field that is not known is not told, nor that of one for secrets', () => {
  assert.doesNotMatch(told({ name: 'a', passwort: 'hunter2' }).join(), /hunter2/);
  assert.deepEqual(told({ name: 'a', token: 'hunter2' }), ['.token: "***" is not a number']);
});

test('keys that every object has are unknown fields, and no way to its prototype', () => {
  assert.deepEqual(told({ name: 'a', constructor: 1, toString: 2 }), [
    '.constructor: "constructor" is not a field that is known here; known here: name, count, flag, list, map, mode, port, either, shape, token, any',
    '.toString: "toString" is not a field that is known here; known here: name, count, flag, list, map, mode, port, either, shape, token, any',
  ]);
});

test('the place, the file and the object come with the problem', () => {
  const value = { name: 'a', list: [{ key: 'k', weight: 'x' }] };
  const { error } = SCHEMA.safeParse(value);
  assert.ok(error);
  const asked: (readonly PropertyKey[])[] = [];
  const problems = schemaProblems(SCHEMA, error, value, ['docs', 3], {
    file: 'm.yaml',
    object: 'Service shop/orders',
    locate: (path) => {
      asked.push(path);
      return { line: 7, column: 9 };
    },
  });
  assert.deepEqual(asked, [['docs', 3, 'list', 0, 'weight']]);
  assert.deepEqual(problems, [
    {
      severity: 'error',
      file: 'm.yaml',
      object: 'Service shop/orders',
      line: 7,
      column: 9,
      field: 'docs[3].list[0].weight',
      value: '"x"',
      message: 'is not a number',
      meant: '',
    },
  ]);
});
