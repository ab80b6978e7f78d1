import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { customResourceDefinition } from './custom-resource.ts';
import { customResourceFiles } from './custom-resources.ts';

const folder = join(import.meta.dirname, 'tulle/crds');

test('the CustomResourceDefinitions of the chart are those of the schemas (else: npm run crds)', () => {
  const files = customResourceFiles();
  assert.deepEqual(readdirSync(folder).sort(), [...files.keys()].sort());
  for (const [name, text] of files) assert.equal(readFileSync(join(folder, name), 'utf8'), text, name);
});

test('a field without a description is refused by name', () => {
  const document = z.strictObject({ spec: z.strictObject({ surprise: z.string() }) });
  const kind = { name: 'Aggregate', plural: 'aggregates', columns: [], document };
  assert.throws(() => customResourceDefinition(kind), /says nothing of Aggregate surprise/);
});

test('what a structural schema has not is refused: the API server would', () => {
  const document = z.strictObject({ spec: z.strictObject({ path: z.union([z.string(), z.int()]) }) });
  const kind = { name: 'Aggregate', plural: 'aggregates', columns: [], document };
  assert.throws(() => customResourceDefinition(kind), /a structural schema has no anyOf/);
});

test('unknown fields are kept, so that the webhook and the control plane can tell what was meant', () => {
  const document = z.strictObject({ spec: z.strictObject({ path: z.string() }) });
  const kind = { name: 'Aggregate', plural: 'aggregates', columns: [], document };
  assert.match(JSON.stringify(customResourceDefinition(kind)), /"x-kubernetes-preserve-unknown-fields":true/);
});
