import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { valuesSchema } from '../cli/install/values-schema.ts';
import { valuesJsonSchema } from './values-json-schema.ts';
import { valuesTable, withValuesTable } from './values-table.ts';

const chart = join(import.meta.dirname, 'tulle');
const values = readFileSync(join(chart, 'values.yaml'), 'utf8');

test('the schema of the values is that of the code (else: npm run crds)', () => {
  assert.equal(readFileSync(join(chart, 'values.schema.json'), 'utf8'), valuesJsonSchema());
});

test('the table of the values in docs/installation.md is that of values.yaml (else: npm run crds)', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/installation.md'), 'utf8');
  assert.equal(page, withValuesTable(page, values));
});

test('every value of the schema has a default, and no other', () => {
  assert.deepEqual(valuesSchema.parse(parse(values)), parse(values));
  const known = Object.keys(valuesSchema.shape).filter((name) => name !== 'global');
  assert.deepEqual(Object.keys(parse(values)).sort(), known.sort());
});

test('a value without a comment is refused; one below a map that has one is part of it', () => {
  assert.throws(() => valuesTable('# A.\na: 1\nb: 2\n'), /says nothing of b/);
  assert.equal(
    valuesTable('# Top.\n\na:\n  # B.\n  b: 1\n# C and\n# more.\nc:\n  d: { e: 1 }\n  f: ""\n# G.\ng: ""\n'),
    '| value | default                | what it is  |\n' +
      '| ----- | ---------------------- | ----------- |\n' +
      '| `a.b` | `1`                    | B.          |\n' +
      '| `c`   | `{"d":{"e":1},"f":""}` | C and more. |\n' +
      '| `g`   | `""`                   | G.          |\n',
  );
});
