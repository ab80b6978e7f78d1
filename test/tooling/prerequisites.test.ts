import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ensurePrerequisites, installLine, onPath, type Prerequisite } from '../prerequisites.ts';

const there: Prerequisite = { name: 'there', why: 'a test', isThere: () => true, packages: ['one'] };
const missing: Prerequisite = {
  name: 'missing',
  why: 'a test',
  isThere: () => false,
  packages: ['two', 'three'],
};
const alike: Prerequisite = { name: 'alike', why: 'a test', isThere: () => false, packages: ['three'] };

test('a program that is there is found, another is not', () => {
  assert.ok(onPath('node'));
  assert.ok(!onPath('tulle-no-such-program'));
});

test('nothing is installed when all is there', () => {
  assert.equal(installLine([there]), undefined);
  ensurePrerequisites([there]);
});

test('the line to install names what is missing, once each', () => {
  const line = installLine([there, missing, alike]);
  assert.equal(line, 'apt-get update && apt-get satisfy -y --no-install-recommends two three');
});

test('a package of a version is quoted for the shell', () => {
  const newer = { ...missing, packages: ['four (>= 4.1)'] };
  assert.equal(
    installLine([newer]),
    "apt-get update && apt-get satisfy -y --no-install-recommends 'four (>= 4.1)'",
  );
});
