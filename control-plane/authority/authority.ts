import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IdentityRequest, IdentityResponse } from '../../protocol/identity-request.ts';
import { AuthorityError } from './authority-error.ts';
import { type AuthorityStore, openStore } from './authority-store.ts';
import { createRoot, issueLeaf, loadRoot, type Root } from './certificates.ts';
import { verifyToken } from './join-token.ts';

const LEAF_LIFE_MS = 24 * 3_600_000;
/** A leaf is renewed at this share of its life. */
const RENEW_AT = 0.6;

/** The mesh's own certificate authority. */
export interface Authority {
  readonly trustDomain: string;
  /** Trusted roots in PEM. */
  readonly bundlePem: string;
  /** File with the same, for those who start sidecars. */
  readonly bundleFile: string;
  /** Signs a leaf for a workload, whoever asks. */
  issue(csrPem: string, workload: string): Promise<IdentityResponse>;
  /** What the network asks for: by token, or by the certificate `peer` proved. Throws AuthorityError. */
  answer(request: IdentityRequest, peer: string | undefined): Promise<IdentityResponse>;
  close(): void;
}

/** Opens the authority of `stateDir`, made at the first time. Throws an Error if it belongs to another trust domain. */
export async function openAuthority(
  stateDir: string,
  options: { trustDomain: string; leafLifeMs?: number },
): Promise<Authority> {
  const store = openStore(stateDir);
  try {
    return await authorityOf(store, stateDir, options.trustDomain, options.leafLifeMs ?? LEAF_LIFE_MS);
  } catch (error) {
    store.close();
    throw error;
  }
}

async function authorityOf(
  store: AuthorityStore,
  stateDir: string,
  trustDomain: string,
  leafLifeMs: number,
): Promise<Authority> {
  store.setSetting('trust-domain', trustDomain);
  const known = store.setting('trust-domain');
  if (known !== trustDomain) {
    throw new Error(
      `${stateDir} is the authority of the trust domain ${known}, not of ${trustDomain}: give another --state, or trustDomain: ${known}`,
    );
  }
  if (store.roots().length === 0) store.addFirstRoot(await createRoot(trustDomain));
  const stored = store.roots();
  const newest = stored.at(-1);
  if (newest === undefined) throw new Error(`${stateDir} keeps no root`);
  const root: Root = await loadRoot(newest);
  const bundlePem = stored.map(({ certificatePem }) => certificatePem).join('');
  const bundleFile = join(stateDir, 'bundle.pem');
  // Another process may write the same at the same time.
  writeFileSync(`${bundleFile}.${process.pid}`, bundlePem, { mode: 0o644 });
  renameSync(`${bundleFile}.${process.pid}`, bundleFile);

  /** The root may end before the life of a leaf has passed. */
  const rootLeftMs = () => Math.max(1000, root.certificate.notAfter.getTime() - Date.now());
  const issue = async (csrPem: string, workload: string): Promise<IdentityResponse> => {
    const { chainPem, notAfter } = await issueLeaf(root, trustDomain, workload, csrPem, leafLifeMs);
    return {
      chain: chainPem,
      bundle: bundlePem,
      notAfter: notAfter.toISOString(),
      renewAfterMs: Math.round(Math.min(leafLifeMs, rootLeftMs()) * RENEW_AT),
    };
  };
  return {
    trustDomain,
    bundlePem,
    bundleFile,
    issue,
    async answer(request, peer) {
      if (request.token !== undefined) return issue(request.csr, await verifyToken(store, request.token));
      if (peer === undefined)
        throw new AuthorityError(
          'ERR_NOT_ALLOWED',
          'a certificate is given for a join token, or to who has one already',
        );
      return issue(request.csr, peer);
    },
    close: () => store.close(),
  };
}
