import { globSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type Ran, runCommand } from '../fixture/command.ts';

export const CHART = join(import.meta.dirname, '../../charts/tulle');

/** Helm: of $HELM, built beside the cluster's own programs, or on the path. */
const HELM = process.env.HELM ?? globSync(join(homedir(), '.cache/kube-*/helm')).sort().at(-1) ?? 'helm';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Longer than Helm itself waits for pods. */
const LIMIT_MS = 180_000;

export function helm(...args: readonly string[]): Promise<Ran> {
  return runCommand(HELM, args, { limitMs: LIMIT_MS });
}

/** Objects of YAML documents, by kind and name; comments and order are gone. Throws an Error of two of one name. */
export function manifests(text: string): Map<string, Manifest> {
  const found = new Map<string, Manifest>();
  for (const document of parseAllDocuments(text, { version: '1.1' })) {
    const manifest = document.toJS() as Manifest | null;
    if (manifest === null) continue;
    const key = `${manifest.kind} ${manifest.metadata.namespace ?? ''}/${manifest.metadata.name}`;
    if (found.has(key)) throw new Error(`there are two of ${key}`);
    found.set(key, manifest);
  }
  return found;
}
