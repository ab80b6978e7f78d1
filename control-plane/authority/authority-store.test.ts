import assert from 'node:assert/strict';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { openStore } from './authority-store.ts';

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test('nobody but the owner can read the store: not the database, not its journal, not the folder', (context) => {
  const dir = join(temporaryDir(context), 'state');
  const umask = process.umask(0);
  context.after(() => process.umask(umask));
  const store = openStore(dir);
  try {
    store.setSecret('s', Buffer.from('secret'));
    const files = readdirSync(dir);
    assert.ok(files.includes('authority.db'));
    assert.ok(files.includes('authority.db-wal'), 'the journal holds what the database does not yet');
    for (const file of files) assert.equal(modeOf(join(dir, file)), '600', file);
    assert.equal(modeOf(dir), '700');
    assert.equal(process.umask(), 0, 'the process has its umask back');
  } finally {
    store.close();
  }
});

test('a database that others could read is refused, whoever widened it, and is opened again once it is narrow', (context) => {
  const dir = temporaryDir(context);
  openStore(dir).close();
  const file = join(dir, 'authority.db');
  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o601]) {
    chmodSync(file, mode);
    assert.throws(
      () => openStore(dir),
      (error: Error) =>
        error.message.startsWith(`${file} has mode ${mode.toString(8)}: others could read`) &&
        error.message.includes('chmod 600'),
    );
  }
  chmodSync(file, 0o600);
  openStore(dir).close();
});

test('two handles on one store agree on a secret and a setting: the first one stays', (context) => {
  const dir = temporaryDir(context);
  const [one, other] = [openStore(dir), openStore(dir)];
  try {
    one.setSecret('s', Buffer.from('first'));
    other.setSecret('s', Buffer.from('second'));
    one.setSetting('domain', 'a');
    other.setSetting('domain', 'b');
    for (const store of [one, other]) {
      assert.equal(store.secret('s')?.toString(), 'first');
      assert.equal(store.setting('domain'), 'a');
      assert.equal(store.secret('t'), undefined);
      assert.equal(store.setting('t'), undefined);
    }
  } finally {
    one.close();
    other.close();
  }
});

test('of two who make the first root, one wins, and both see the same one', (context) => {
  const dir = temporaryDir(context);
  const [one, other] = [openStore(dir), openStore(dir)];
  try {
    one.addFirstRoot({ certificatePem: 'c1', keyPem: 'k1' });
    other.addFirstRoot({ certificatePem: 'c2', keyPem: 'k2' });
    assert.deepEqual(one.roots(), [{ certificatePem: 'c1', keyPem: 'k1' }]);
    assert.deepEqual(other.roots(), one.roots());
  } finally {
    one.close();
    other.close();
  }
});

test('roots and secrets are there after the store was closed and opened again, byte for byte', (context) => {
  const dir = temporaryDir(context);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const before = openStore(dir);
  before.addFirstRoot({ certificatePem: 'c', keyPem: 'k' });
  before.setSecret('s', bytes);
  before.close();
  const after = openStore(dir);
  try {
    assert.deepEqual(after.roots(), [{ certificatePem: 'c', keyPem: 'k' }]);
    assert.deepEqual(after.secret('s'), bytes);
  } finally {
    after.close();
  }
});
