import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTROL_PLANE_WORKLOAD } from '../../protocol/control-messages.ts';
import type { IdentityRequest, IdentityResponse } from '../../protocol/identity-request.ts';
import { AuthorityError } from './authority-error.ts';
import { type AuthorityStore, openStore } from './authority-store.ts';
import { createRoot, issueLeaf } from './certificates.ts';
import { verifyToken } from './join-token.ts';
import type { RootSource } from './root-source.ts';
import { readTrust } from './trust.ts';

const LEAF_LIFE_MS = 24 * 3_600_000;
/** A leaf is renewed at this share of its life. */
const RENEW_AT = 0.6;

/** Who proved itself by a token. */
export interface TokenSubject {
  /** `namespace/serviceaccount`. */
  readonly workload: string;
  /** The pod that the token is bound to, for the log. */
  readonly pod?: string;
}

/** A certificate, and to whom it was given. */
interface Issued extends TokenSubject {
  readonly response: IdentityResponse;
}

/** The mesh's own certificate authority. */
export interface Authority {
  readonly trustDomain: string;
  /** Trusted roots in PEM; they may change. */
  readonly bundlePem: string;
  /** When what signs ends, in ms since 1970. */
  readonly notAfter: number;
  /** Signs a leaf for a workload, whoever asks. */
  issue(csrPem: string, workload: string): Promise<IdentityResponse>;
  /** What the network asks for: by token, or by the certificate `peer` proved. Throws AuthorityError. */
  answer(request: IdentityRequest, peer: string | undefined): Promise<Issued>;
  /** Roots or signer are other ones now. */
  onChange(listener: () => void): void;
  close(): void;
}

export interface AuthorityOptions {
  readonly trustDomain: string;
  /** Life of certificates, in ms. */
  readonly leafLifeMs?: number | undefined;
  /** Whose token it is. Throws AuthorityError. */
  readonly verifyToken: (token: string) => Promise<TokenSubject>;
  /** Whether a workload (`namespace/serviceaccount`) may have another certificate for the one it has; without it all may. */
  readonly mayRenew?: (workload: string) => boolean;
}

/** An authority whose state is one folder. */
export interface FileAuthority extends Authority {
  /** File with the trusted roots, for those who start sidecars. */
  readonly bundleFile: string;
}

/** Opens the authority of `stateDir`, made at the first time. Throws an Error if it belongs to another trust domain. */
export async function openAuthority(
  stateDir: string,
  options: { trustDomain: string; leafLifeMs?: number },
): Promise<FileAuthority> {
  const store = openStore(stateDir);
  try {
    const roots = await rootsOf(store, stateDir, options.trustDomain);
    const authority = createAuthority(roots, {
      ...options,
      verifyToken: async (token) => ({ workload: await verifyToken(store, token) }),
    });
    return Object.assign(authority, { bundleFile: writeBundle(stateDir, authority.bundlePem) });
  } catch (error) {
    store.close();
    throw error;
  }
}

async function rootsOf(store: AuthorityStore, stateDir: string, trustDomain: string): Promise<RootSource> {
  store.setSetting('trust-domain', trustDomain);
  const known = store.setting('trust-domain');
  if (known !== trustDomain) {
    throw new Error(
      `${stateDir} is the authority of the trust domain ${known}, not of ${trustDomain}: give another --state, or trustDomain: ${known}`,
    );
  }
  if (store.roots().length === 0) store.addFirstRoot(await createRoot(trustDomain));
  const stored = store.roots();
  const signer = stored.at(-1);
  if (signer === undefined) throw new Error(`${stateDir} keeps no root`);
  const trust = await readTrust(stored.map(({ certificatePem }) => certificatePem).join(''), signer);
  return { current: () => trust, onChange() {}, problem: () => undefined, close: () => store.close() };
}

function writeBundle(stateDir: string, bundlePem: string): string {
  const bundleFile = join(stateDir, 'bundle.pem');
  // Another process may write the same at the same time.
  writeFileSync(`${bundleFile}.${process.pid}`, bundlePem, { mode: 0o644 });
  renameSync(`${bundleFile}.${process.pid}`, bundleFile);
  return bundleFile;
}

/** An authority that works with what `roots` keeps, and closes it. */
export function createAuthority(roots: RootSource, options: AuthorityOptions): Authority {
  return new CertificateAuthority(roots, options);
}

class CertificateAuthority implements Authority {
  private readonly roots: RootSource;
  private readonly options: AuthorityOptions;

  constructor(roots: RootSource, options: AuthorityOptions) {
    this.roots = roots;
    this.options = options;
  }

  get trustDomain(): string {
    return this.options.trustDomain;
  }

  get bundlePem(): string {
    return this.roots.current().bundlePem;
  }

  get notAfter(): number {
    return this.roots.current().signer.certificate.notAfter.getTime();
  }

  async issue(csrPem: string, workload: string): Promise<IdentityResponse> {
    const { trustDomain, leafLifeMs = LEAF_LIFE_MS } = this.options;
    const { signer, bundlePem } = this.roots.current(); // of one state
    const { chainPem, notAfter } = await issueLeaf(signer, trustDomain, workload, csrPem, leafLifeMs);
    // What signs may end before the life of a leaf has passed.
    const leftMs = Math.max(1000, signer.certificate.notAfter.getTime() - Date.now());
    return {
      chain: chainPem,
      bundle: bundlePem,
      notAfter: notAfter.toISOString(),
      renewAfterMs: Math.round(Math.min(leafLifeMs, leftMs) * RENEW_AT),
    };
  }

  async answer({ token, csr }: IdentityRequest, peer: string | undefined): Promise<Issued> {
    if (token === undefined && peer === undefined)
      throw new AuthorityError(
        'ERR_NOT_ALLOWED',
        'a certificate is given for a token, or to who has one already',
      );
    // Who got hold of a certificate must not live on by it when the workload itself has gone.
    if (token === undefined && peer !== undefined && this.options.mayRenew?.(peer) === false)
      throw new AuthorityError(
        'ERR_NOT_ALLOWED',
        `no pod of ${peer} is known any more: its certificate is not renewed without a token`,
      );
    const subject = token === undefined ? { workload: peer ?? '' } : await this.options.verifyToken(token);
    // A control plane signs its own: who could ask for that name would be believed by every sidecar.
    if (subject.workload === CONTROL_PLANE_WORKLOAD)
      throw new AuthorityError('ERR_NOT_ALLOWED', 'the identity of the control plane is given to nobody');
    return { ...subject, response: await this.issue(csr, subject.workload) };
  }

  onChange(listener: () => void): void {
    this.roots.onChange(listener);
  }

  close(): void {
    this.roots.close();
  }
}
