import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERSION } from '../../protocol/version.ts';
import { read } from './repository.ts';

interface Manifest {
  version: string;
  license: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const named = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];

test('the program says the version of the package', () => {
  assert.equal(VERSION, manifest.version);
});

test('the changelog has a section for this version', () => {
  assert.match(read('CHANGELOG.md'), new RegExp(`^## ${manifest.version.replaceAll('.', '\\.')}`, 'm'));
});

test('the licence that the package names is the one that is there', () => {
  assert.equal(manifest.license, 'Apache-2.0');
  assert.match(read('LICENSE'), /^\s+Apache License\n\s+Version 2\.0, January 2004\n/);
});

test('the lock file locks the dependencies that the package names', () => {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Manifest> };
  assert.deepEqual(lock.packages['']?.dependencies, manifest.dependencies);
  assert.deepEqual(lock.packages['']?.devDependencies, manifest.devDependencies);
});

test('docs/dependencies.md says of each dependency why it is there, and of no other', () => {
  const told = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` *\|/gm)].map(([, name]) => name);
  assert.deepEqual(told.toSorted(), named.toSorted());
});
