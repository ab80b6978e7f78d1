import {
  issueServingCertificate,
  livingBundle,
  type ServingCertificate,
  type Validity,
  validityOf,
} from './serving-certificate.ts';

/** What the replicas of an injector share, in a Secret. */
export interface StoredCertificates {
  readonly current: ServingCertificate;
  /** Made known to API servers, and not served yet. */
  readonly next?: ServingCertificate;
  /** PEM of all that API servers are to trust. */
  readonly bundlePem: string;
}

export interface CertificateStore {
  /** `revision` is handed back to write. Undefined: nothing is stored. */
  read(): Promise<{ readonly stored: Partial<StoredCertificates>; readonly revision: string } | undefined>;
  /** False if another replica has written since `revision`, or created it first. */
  write(stored: StoredCertificates, revision: string | undefined): Promise<boolean>;
}

export interface RotationOptions {
  readonly store: CertificateStore;
  /** Makes the API servers trust `bundlePem`. */
  readonly announce: (bundlePem: string) => Promise<void>;
  /** DNS names and addresses. */
  readonly names: readonly string[];
  readonly lifeMs: number;
  /** How long API servers get to see a changed bundle before a certificate of it is served. */
  readonly settleMs: number;
  readonly now?: () => number;
}

export interface Serving {
  readonly certificate: ServingCertificate;
  readonly endsMs: number;
  /** Another certificate waits for its turn. */
  readonly isRotating: boolean;
}

const ATTEMPTS = 5;

/**
 * Keeps the serving certificate valid. A new one is first announced beside the one in use and served only after
 * `settleMs`, so that no API server meets a certificate which it does not trust; the old one is trusted to its end, for the
 * replicas that serve it still. Every replica does the same, and the store lets one of them win.
 */
export class CertificateRotation {
  private readonly options: RotationOptions;
  private readonly now: () => number;
  private announced: { readonly certificatePem: string; readonly sinceMs: number } | undefined;

  constructor(options: RotationOptions) {
    this.options = options;
    this.now = options.now ?? Date.now;
  }

  /** One look at the state, and the step that it asks for. Rejects if store or API server cannot be reached. */
  async step(): Promise<Serving> {
    let stored = await this.settle((state) => this.prepared(state));
    await this.options.announce(stored.bundlePem);
    if (stored.next !== undefined && this.hasSettled(stored.next)) {
      stored = await this.settle((state) => this.promoted(state));
    }
    return {
      certificate: stored.current,
      endsMs: validityOf(stored.current)?.endsMs ?? 0,
      isRotating: stored.next !== undefined,
    };
  }

  /** Brings what is stored into the state that `change` wants; `change` gives its argument back if that is so already. */
  private async settle(
    change: (state: Partial<StoredCertificates>) => StoredCertificates | Promise<StoredCertificates>,
  ): Promise<StoredCertificates> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const read = await this.options.store.read();
      const wanted = await change(read?.stored ?? {});
      if (wanted === read?.stored || (await this.options.store.write(wanted, read?.revision))) return wanted;
    }
    throw new Error('other replicas changed the certificate at each attempt');
  }

  private async prepared(state: Partial<StoredCertificates>): Promise<StoredCertificates> {
    const { current, bundlePem = '' } = state;
    const next = state.next !== undefined && this.isFit(validityOf(state.next)) ? state.next : undefined;
    const validity = current && validityOf(current);
    if (current === undefined || validity === undefined || validity.endsMs <= this.now()) {
      const fresh = next ?? (await this.issue());
      return { current: fresh, bundlePem: this.bundle(bundlePem, fresh.certificatePem) };
    }
    const following = next ?? (this.isFit(validity) ? undefined : await this.issue());
    const whole = this.bundle(bundlePem, current.certificatePem, following?.certificatePem ?? '');
    if (whole === bundlePem && following === state.next) return state as StoredCertificates; // it has current
    return { current, ...(following !== undefined && { next: following }), bundlePem: whole };
  }

  private promoted(state: Partial<StoredCertificates>): StoredCertificates {
    const { next, bundlePem = '' } = state;
    // Another replica was faster.
    if (next === undefined || next.certificatePem !== this.announced?.certificatePem)
      return state as StoredCertificates;
    return { current: next, bundlePem };
  }

  private isFit(validity: Validity | undefined): boolean {
    if (validity === undefined || validity.renewMs <= this.now()) return false;
    return this.options.names.every((name) => validity.holdsFor(name));
  }

  private hasSettled({ certificatePem }: ServingCertificate): boolean {
    if (this.announced?.certificatePem !== certificatePem)
      this.announced = { certificatePem, sinceMs: this.now() };
    return this.now() - this.announced.sinceMs >= this.options.settleMs;
  }

  private bundle(...pems: string[]): string {
    return livingBundle(pems, this.now());
  }

  private issue(): Promise<ServingCertificate> {
    return issueServingCertificate(this.options.names, this.options.lifeMs, this.now());
  }
}
