import { X509Certificate } from 'node:crypto';
import type { StoredRoot } from './authority-store.ts';
import { loadSigner, type Signer, splitPem } from './certificates.ts';

/** What an authority works with. */
export interface Trust {
  /** All trusted roots, in PEM. */
  readonly bundlePem: string;
  /** A root of them, or an intermediate below one. */
  readonly signer: Signer;
}

/** Trusted roots and the one that signs. Throws an Error if peers that trust the roots would not believe the signer. */
export async function readTrust(bundlePem: string, stored: StoredRoot): Promise<Trust> {
  const signer = await loadSigner(stored);
  const roots = splitPem(bundlePem);
  const above = [...splitPem(stored.certificatePem).slice(1), ...roots];
  let top = new X509Certificate(Buffer.from(signer.certificate.rawData));
  for (let steps = 0; steps <= above.length; steps++) {
    if (roots.some((root) => root.fingerprint256 === top.fingerprint256)) return { bundlePem, signer };
    const issuer = above.find((one) => top.checkIssued(one) && top.verify(one.publicKey));
    if (issuer === undefined) break;
    top = issuer;
  }
  throw new Error('what signs leads to none of the trusted roots');
}
