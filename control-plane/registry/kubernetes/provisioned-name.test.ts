import assert from 'node:assert/strict';
import { test } from 'node:test';
import { provisionedName } from './provisioned-name.ts';

test('names are of the form of a Service, and no two Gateways have the same', () => {
  const gateways = [
    'gw',
    'gw-tulle',
    '1st',
    'a.b',
    'a-b',
    'x'.repeat(57),
    'x'.repeat(58),
    'x'.repeat(253),
    `${'x'.repeat(252)}y`,
  ];
  const names = gateways.map(provisionedName);
  for (const name of names) assert.match(name, /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
  assert.equal(new Set(names).size, gateways.length);
  assert.equal(names[0], 'gw-tulle');
});
