import { readFileSync } from 'node:fs';
import type { IdentitySource } from './identity/identity.ts';
import type { Log } from './log.ts';
import type { SidecarOptions } from './options.ts';

/**
 * The identity that the options ask for: from files, from a control plane, or none. What it needs is loaded
 * only then. Throws an Error that names what is missing.
 */
export async function openIdentity(options: SidecarOptions, log: Log): Promise<IdentitySource | undefined> {
  const { identity, controlPlane, bundleFile, tokenFile } = options;
  if (identity !== undefined) {
    const { openFileIdentity } = await import('./identity/file-identity.ts');
    return openFileIdentity(identity.cert, identity.key, identity.bundle);
  }
  if (controlPlane === undefined) return undefined;
  if (bundleFile === undefined || tokenFile === undefined)
    throw new Error(
      'a control plane needs --bundle and --token-file: the roots to check it by, and the join token',
    );
  const { requestIdentity } = await import('./identity/requested-identity.ts');
  return requestIdentity({
    controlPlane,
    bundle: () => readFileSync(bundleFile, 'utf8'),
    token: () => readFileSync(tokenFile, 'utf8').trim(),
    log,
  });
}
