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
  addRoot(root: StoredRoot): void;
  secret(name: string): Buffer | undefined;
  setSecret(name: string, value: Buffer): void;
  setting(name: string): string | undefined;
  setSetting(name: string, value: string): void;
  close(): void;
}

const OTHERS = 0o077;

/** Opens `dir/authority.db`. Throws an Error if others can read it: the key may be known already. */
export function openStore(dir: string): AuthorityStore {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, 'authority.db');
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
    return storeOf(new DatabaseSync(file), file);
  } finally {
    process.umask(before);
  }
}

function storeOf(database: DatabaseSync, file: string): AuthorityStore {
  // Another process mints tokens in the same file; a kill -9 must lose nothing that was told to anybody.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;');
  database.exec(`
    CREATE TABLE IF NOT EXISTS root (id INTEGER PRIMARY KEY, certificate TEXT NOT NULL, key TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  `);
  chmodSync(file, 0o600);
  const roots = database.prepare('SELECT certificate, key FROM root ORDER BY id');
  const addRoot = database.prepare('INSERT INTO root (certificate, key) VALUES (?, ?)');
  const secret = database.prepare('SELECT value FROM secret WHERE name = ?');
  const setSecret = database.prepare('INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)');
  const setting = database.prepare('SELECT value FROM setting WHERE name = ?');
  const setSetting = database.prepare('INSERT OR IGNORE INTO setting (name, value) VALUES (?, ?)');
  return {
    roots: () =>
      roots.all().map((row) => ({ certificatePem: String(row.certificate), keyPem: String(row.key) })),
    addRoot: ({ certificatePem, keyPem }) => void addRoot.run(certificatePem, keyPem),
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
