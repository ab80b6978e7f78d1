import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REASONS } from './reasons.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/reasons.md'), 'utf8');
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const [code = '', ...text] = section.split('\n');
    return { code, text: text.join('\n').trim() };
  });

test('every reason has its section in docs/reasons.md, and no other has one', () => {
  assert.deepEqual(sections.map(({ code }) => code).sort(), Object.keys(REASONS).sort());
});

test('every section explains its reason in more than a few words', () => {
  for (const { code, text } of sections) assert.ok(text.length > 80, code);
});

test('every reason is a sentence, and its code can stand in a header', () => {
  for (const [code, sentence] of Object.entries(REASONS)) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.match(sentence, /^[A-Z].{10,}\.$/, code);
  }
});
