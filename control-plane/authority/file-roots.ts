import { readFileSync } from 'node:fs';
import type { Log } from '../log.ts';
import type { RootSource } from './root-source.ts';
import { readTrust, type Trust } from './trust.ts';

const REREAD_MS = 30_000;

/** Files of a signer that others made, cert-manager or Vault perhaps: certificate with its chain, key, trusted roots. */
export interface SignerFiles {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
}

/** The authority's roots and key in files that are read anew every `rereadMs`. Throws an Error that names what cannot be used. */
export async function openFileRoots(files: SignerFiles, log: Log, rereadMs = REREAD_MS): Promise<RootSource> {
  let text = readFiles(files);
  let trust = await trustOf(text, files);
  let problem: string | undefined;
  const listeners: ((trust: Trust) => void)[] = [];
  const reread = async (): Promise<void> => {
    const found = readFiles(files);
    if (found.every((part, index) => part === text[index])) return;
    trust = await trustOf(found, files);
    text = found;
    log.info({ notAfter: trust.signer.certificate.notAfter }, 'the roots of the mesh changed');
    for (const listener of listeners) listener(trust);
  };
  const timer = setInterval(() => {
    reread().then(
      () => {
        problem = undefined;
      },
      (error: Error) => {
        if (problem === undefined)
          log.error({ error: error.message }, 'the signer that was read before holds');
        problem = error.message;
      },
    );
  }, rereadMs).unref();
  return {
    current: () => trust,
    onChange: (listener) => void listeners.push(listener),
    problem: () => problem,
    close: () => clearInterval(timer),
  };
}

function readFiles({ certificate, key, roots }: SignerFiles): string[] {
  return [certificate, key, roots].map((file) => readFileSync(file, 'utf8'));
}

async function trustOf([certificatePem = '', keyPem = '', rootsPem = '']: string[], files: SignerFiles) {
  try {
    return await readTrust(rootsPem, { certificatePem, keyPem });
  } catch (error) {
    throw new Error(
      `${files.certificate}, ${files.key} and ${files.roots} cannot be used: ${reasonFor(error)}`,
    );
  }
}

/** A parser's own error may quote what it read. */
function reasonFor(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /^(the authority's|what signs)/.test(message)
    ? message
    : 'their content is not PEM that can be read';
}
