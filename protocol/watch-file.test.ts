import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../test/fixture/wait.ts';
import { watchFile } from './watch-file.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'tulle-watch-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The contents that are told of a file, as they come: by the watch alone, the poll's clock stands still. */
function follow(t: TestContext, file: string): string[] {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const told: string[] = [];
  const watcher = watchFile(file, (text) => told.push(text));
  t.after(() => watcher.close());
  return told;
}

const lastIs = (told: readonly string[], text: string) =>
  until(`the content ${text}`, () => told.at(-1) === text);

test('an edit in place is told, one edit after the other', async (t) => {
  const file = join(folder(t), 'mesh.yaml');
  writeFileSync(file, 'one');
  const told = follow(t, file);
  writeFileSync(file, 'two');
  await lastIs(told, 'two');
  writeFileSync(file, 'three');
  await lastIs(told, 'three');
  assert.deepEqual(told, ['two', 'three']);
});

test('a file that is renamed over it is told, also the second time', async (t) => {
  const at = folder(t);
  const file = join(at, 'mesh.yaml');
  writeFileSync(file, 'one');
  const told = follow(t, file);
  for (const text of ['two', 'three']) {
    writeFileSync(join(at, '.mesh.yaml.swp'), text);
    renameSync(join(at, '.mesh.yaml.swp'), file);
    await lastIs(told, text);
  }
  assert.deepEqual(told, ['two', 'three']);
});

test('a symbolic link that Kubernetes moves to another folder is told', async (t) => {
  const at = folder(t);
  for (const [version, text] of [
    ['..1', 'one'],
    ['..2', 'two'],
  ] as const) {
    mkdirSync(join(at, version));
    writeFileSync(join(at, version, 'tls.crt'), text);
  }
  symlinkSync('..1', join(at, '..data'));
  symlinkSync('..data/tls.crt', join(at, 'tls.crt'));
  const told = follow(t, join(at, 'tls.crt'));
  symlinkSync('..2', join(at, '..data_tmp'));
  renameSync(join(at, '..data_tmp'), join(at, '..data'));
  rmSync(join(at, '..1'), { recursive: true });
  await lastIs(told, 'two');
  assert.deepEqual(told, ['two']);
});

test('a file that is away for a moment keeps its content, and the same content is not told again', async (t) => {
  const at = folder(t);
  const file = join(at, 'mesh.yaml');
  writeFileSync(file, 'one');
  const told = follow(t, file);
  rmSync(file);
  writeFileSync(file, 'one');
  writeFileSync(join(at, 'other.yaml'), 'other');
  rmSync(file);
  writeFileSync(file, 'two');
  await lastIs(told, 'two');
  assert.deepEqual(told, ['two']);
});

test('a file that comes later is told', async (t) => {
  const file = join(folder(t), 'mesh.yaml');
  const told = follow(t, file);
  writeFileSync(file, 'one');
  await lastIs(told, 'one');
});

test('after close nothing is told', async (t) => {
  const file = join(folder(t), 'mesh.yaml');
  writeFileSync(file, 'one');
  const closed: string[] = [];
  const watcher = watchFile(file, (text) => closed.push(text));
  const told = follow(t, file);
  writeFileSync(file, 'two');
  watcher.close();
  await lastIs(told, 'two');
  assert.deepEqual(closed, []);
});

test('where nothing tells of changes, the file is looked at every 2 seconds', (t) => {
  const at = join(folder(t), 'later');
  const told = follow(t, join(at, 'mesh.yaml'));
  mkdirSync(at);
  writeFileSync(join(at, 'mesh.yaml'), 'one');
  t.mock.timers.tick(1999);
  assert.deepEqual(told, []);
  t.mock.timers.tick(1);
  assert.deepEqual(told, ['one']);
  t.mock.timers.tick(2000);
  assert.deepEqual(told, ['one']);
});
