import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { VERSION } from '../../protocol/version.ts';
import { ROOT, read } from '../tooling/repository.ts';

const files = globSync('examples/shop/*.yaml', { cwd: ROOT }).sort();

test('the shop runs the image of this version, not as the user whose traffic is never captured', () => {
  const images = files.flatMap((file) => [...read(file).matchAll(/image: (\S+)/g)].map(([, image]) => image));
  assert.ok(images.length > 5);
  assert.deepEqual(new Set(images), new Set([`tulle:${VERSION}`]));
  for (const file of files) {
    const text = read(file);
    assert.equal(text.match(/runAsUser: 1000/g)?.length, text.match(/image: /g)?.length, file);
  }
});

test("the namespace comes first, and all else is in it: kubectl applies a folder's files by their names", () => {
  const objects = files.flatMap((file) =>
    parseAllDocuments(read(file)).map(
      (document) => document.toJS() as { kind: string; metadata: { namespace?: string } },
    ),
  );
  assert.equal(objects[0]?.kind, 'Namespace');
  for (const { kind, metadata } of objects.slice(1)) assert.equal(metadata.namespace, 'shop', kind);
});
