import { readFileSync } from 'node:fs';
import { watchFile } from '../../protocol/watch-file.ts';
import type { Identity, IdentitySource } from './identity.ts';
import { readIdentity } from './read-identity.ts';

/** An identity from files, followed as they change; what cannot be read keeps the last good one. Throws if it is broken at the start. */
export function openFileIdentity(certFile: string, keyFile: string, bundleFile: string): IdentitySource {
  const read = () =>
    readIdentity(
      readFileSync(certFile, 'utf8'),
      readFileSync(keyFile, 'utf8'),
      readFileSync(bundleFile, 'utf8'),
    );
  let current: Identity = read();
  let lastError: string | undefined;
  const listeners = new Set<(identity: Identity) => void>();
  const reload = (): void => {
    try {
      const next = read();
      lastError = undefined;
      if (next.chainPem === current.chainPem && next.bundlePem === current.bundlePem) return;
      current = next;
      for (const listener of listeners) listener(next);
    } catch (error) {
      lastError = error instanceof Error ? error.message : String(error);
    }
  };
  const watchers = [certFile, keyFile, bundleFile].map((file) => watchFile(file, reload));
  reload(); // an edit may have come before the watchers
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    lastError: () => lastError,
    close: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}
