import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VERSION } from '../../protocol/version.ts';
import { ROOT } from './repository.ts';

const folder = mkdtempSync(join(tmpdir(), 'tulle-image-test-'));
const dist = join(folder, 'dist');
let said = '';

interface Index {
  readonly manifests: readonly [{ digest: string; annotations: Record<string, string> }];
}

interface Manifest {
  readonly config: { digest: string };
  readonly layers: readonly { digest: string }[];
}

before(() => {
  mkdirSync(join(dist, 'compile-cache'), { recursive: true });
  writeFileSync(join(dist, 'tulle.js'), '');
  writeFileSync(join(dist, 'compile-cache/x'), '');
  said = build('one.tar');
  mkdirSync(join(folder, 'one'));
  execFileSync('tar', ['-C', join(folder, 'one'), '-xf', join(folder, 'one.tar')]);
});

after(() => rmSync(folder, { recursive: true }));

function build(name: string, ...more: readonly string[]): string {
  const args = ['--out', join(folder, name), '--dist', dist, ...more];
  return execFileSync(process.execPath, [join(ROOT, 'image/build.ts'), ...args], { encoding: 'utf8' });
}

function blob<T>(digest: string): T {
  return JSON.parse(readFileSync(join(folder, 'one/blobs', digest.replace(':', '/')), 'utf8'));
}

function manifest(): Manifest {
  const index: Index = JSON.parse(readFileSync(join(folder, 'one/index.json'), 'utf8'));
  return blob(index.manifests[0].digest);
}

/** Lines of `tar --list --verbose` of a layer. */
function files(layer: number): string[] {
  const { digest } = manifest().layers[layer] as { digest: string };
  const tar = join(folder, 'one/blobs', digest.replace(':', '/'));
  return execFileSync('tar', ['-tvzf', tar, '--numeric-owner'], { encoding: 'utf8' }).trim().split('\n');
}

test('the same files give the same archive', () => {
  assert.equal(build('two.tar'), said);
  const [one, two] = ['one.tar', 'two.tar'].map((name) => readFileSync(join(folder, name)));
  assert.ok(one?.equals(two as Buffer));
});

test('it is of this version, starts tulle, and is not root', () => {
  const index: Index = JSON.parse(readFileSync(join(folder, 'one/index.json'), 'utf8'));
  assert.equal(
    index.manifests[0].annotations['io.containerd.image.name'],
    `docker.io/library/tulle:${VERSION}`,
  );
  const { config } = blob<{ config: { User: string; Entrypoint: string[] } }>(manifest().config.digest);
  assert.deepEqual([config.User, config.Entrypoint], ['2102:2102', ['/usr/bin/tulle']]);
});

test('there is no shell, no package manager and no setuid in it, and everything is owned by root', () => {
  const all = [...files(0), ...files(1)];
  for (const line of all) assert.match(line, /^[-dl][rwxt-]{9} 0\/0 /, line);
  const names = all.map((line) => line.split(' ').findLast((word) => word.startsWith('./')) ?? '');
  assert.deepEqual(
    names.filter((name) => /\/(sh|bash|busybox|dash|apt|dpkg|npm|curl)$/.test(name)),
    [],
  );
  assert.ok(names.includes('./usr/bin/node'));
  assert.ok(all.some((line) => line.endsWith('./usr/sbin/ip6tables-nft-restore -> xtables-nft-multi')));
});

test('an update of Tulle brings a layer of its own: Node and iptables are in the other', () => {
  assert.deepEqual(
    files(1)
      .filter((line) => line.startsWith('-'))
      .map((line) => line.split(' ').at(-1)),
    ['./usr/bin/tulle', './usr/lib/tulle/tulle.js'],
  );
});

test('without the bundle it takes less than 130 MB of disk, and 50 to pull', () => {
  const [, pull, disk] = /: ([\d.]+) MB to pull, ([\d.]+) MB on disk/.exec(said) ?? [];
  assert.ok(Number(disk) < 130 && Number(pull) < 50, said);
  assert.ok(statSync(join(folder, 'one.tar')).size < 50e6);
});
