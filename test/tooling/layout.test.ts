import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { ROOT, read } from './repository.ts';

const PARTS = ['sidecar', 'control-plane', 'injector', 'cli', 'protocol'];

function sources(...folders: string[]): string[] {
  return folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT })).sort();
}

/** Files of the repository that a file imports, as paths from the root. */
function importsOf(file: string): string[] {
  const specifiers = read(file).matchAll(/(?:from|import\(|import)\s*'(\.[^']+)'/g);
  return [...specifiers].map(([, specifier = '']) => normalize(join(dirname(file), specifier)));
}

test('what ships imports nothing of test/ or bench/, and no fixture', () => {
  const shipped = sources(...PARTS).filter((file) => !/\.(test|fixture)\.ts$/.test(file));
  assert.ok(shipped.length > 0);
  for (const file of shipped) {
    const wrong = importsOf(file).filter((imported) => /^(test|bench)\/|\.fixture\.ts$/.test(imported));
    assert.deepEqual(wrong, [], file);
  }
});

test('each folder of the sidecar has a rule for its imports in biome.json', () => {
  const { overrides } = JSON.parse(read('biome.json')) as { overrides: { includes: string[] }[] };
  const ruled = new Set(overrides.flatMap(({ includes }) => includes));
  for (const folder of globSync('sidecar/*/', { cwd: ROOT })) {
    assert.ok(ruled.has(`${folder.replace(/\/$/, '')}/**`), `${folder} has none`);
  }
});

test('no folder or file has a name that says nothing', () => {
  const vague = /(^|\/)(utils?|helpers?|common|misc|shared|lib|index)(\/|\.)/;
  assert.deepEqual(
    sources(...PARTS, 'bench', 'test').filter((file) => vague.test(file)),
    [],
  );
});

test('a test that starts processes is told apart by its name only under test/', () => {
  const unit = sources(...PARTS).filter((file) => file.endsWith('.e2e.test.ts'));
  assert.deepEqual(unit, []);
});
