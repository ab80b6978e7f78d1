import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { customResourceFiles } from './custom-resources.ts';
import { valuesJsonSchema } from './values-json-schema.ts';
import { withValuesTable } from './values-table.ts';

/**
 * `npm run crds` writes what is made of other files: CustomResourceDefinitions and the schema of the values (of zod
 * schemas), and the table of the values in docs/installation.md (of the comments of values.yaml).
 */
const chart = join(import.meta.dirname, 'tulle');
const page = join(import.meta.dirname, '../docs/installation.md');
mkdirSync(join(chart, 'crds'), { recursive: true });
for (const [name, text] of customResourceFiles()) writeFileSync(join(chart, 'crds', name), text);
writeFileSync(join(chart, 'values.schema.json'), valuesJsonSchema());
writeFileSync(
  page,
  withValuesTable(readFileSync(page, 'utf8'), readFileSync(join(chart, 'values.yaml'), 'utf8')),
);
