import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A root as it is kept: certificate and key in PEM. */
export interface StoredRoot {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Where the authority keeps its secrets: one file that only its owner can read. */
export interface AuthorityStore {
  roots(): StoredRoot[];
  /** Keeps a root unless there is one already, made by another process perhaps. */
  addFirstRoot(root: StoredRoot): void;
  secret(name: string): Buffer | undefined;
  setSecret(name: string, value: Buffer): void;
  setting(name: string): string | undefined;
  setSetting(name: string, value: string): void;
  close(): void;
}

const OTHERS = 0o077;
const SQLITE_BUSY = 5;
const BUSY_MS = 5_000;
const MAX_ATTEMPTS = 200;

/** Where the store of a state folder is. */
export function storeFile(dir: string): string {
  return join(dir, 'authority.db');
}

/** Opens `dir/authority.db`. Throws an Error if others can read it: the key may be known already. */
export function openStore(dir: string): AuthorityStore {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = storeFile(dir);
  if (existsSync(file)) {
    const { mode } = statSync(file);
    if ((mode & OTHERS) !== 0) {
      throw new Error(
        `${file} has mode ${(mode & 0o777).toString(8)}: others could read the authority's key. chmod 600 it if you are sure that nobody did, else remove it and start anew`,
      );
    }
  }
  const before = process.umask(0o077);
  try {
    return storeOf(new DatabaseSync(file, { timeout: BUSY_MS }), file);
  } catch (error) {
    throw new Error(`${file} cannot be used: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  } finally {
    process.umask(before);
  }
}

/** SQLite does not wait for others while a new file changes to WAL: whoever is refused tries again. */
function writeAhead(database: DatabaseSync): void {
  for (let attempt = 1; ; attempt++) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY || attempt === MAX_ATTEMPTS) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.random() * 20);
    }
  }
}

function storeOf(database: DatabaseSync, file: string): AuthorityStore {
  // Another process mints tokens in the same file; a kill -9 must lose nothing that was told to anybody.
  writeAhead(database);
  database.exec(`
    PRAGMA synchronous = FULL;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS root (id INTEGER PRIMARY KEY, certificate TEXT NOT NULL, key TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    COMMIT;
  `);
  chmodSync(file, 0o600);
  const roots = database.prepare('SELECT certificate, key FROM root ORDER BY id');
  const addFirstRoot = database.prepare(
    'INSERT INTO root (certificate, key) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM root)',
  );
  const secret = database.prepare('SELECT value FROM secret WHERE name = ?');
  const setSecret = database.prepare('INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)');
  const setting = database.prepare('SELECT value FROM setting WHERE name = ?');
  const setSetting = database.prepare('INSERT OR IGNORE INTO setting (name, value) VALUES (?, ?)');
  return {
    roots: () =>
      roots.all().map((row) => ({ certificatePem: String(row.certificate), keyPem: String(row.key) })),
    addFirstRoot: ({ certificatePem, keyPem }) => void addFirstRoot.run(certificatePem, keyPem),
    secret: (name) => {
      const value = secret.get(name)?.value;
      return value instanceof Uint8Array ? Buffer.from(value) : undefined;
    },
    setSecret: (name, value) => void setSecret.run(name, value),
    setting: (name) => {
      const value = setting.get(name)?.value;
      return typeof value === 'string' ? value : undefined;
    },
    setSetting: (name, value) => void setSetting.run(name, value),
    close: () => database.close(),
  };
}
