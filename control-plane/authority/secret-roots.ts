import { CoreV1Api, type V1Secret } from '@kubernetes/client-node';
import { type ApiServer, reasonOf, statusOf } from '../kubernetes/api-server.ts';
import type { Log } from '../log.ts';
import { createRoot } from './certificates.ts';
import type { RootSource } from './root-source.ts';
import { readTrust, type Trust } from './trust.ts';

const AUTHORITY_SECRET = 'tulle-authority';
const TRUST_DOMAIN = 'tulle.dev/trust-domain';
const REREAD_MS = 30_000;
/** As cert-manager writes them: who signs, its key, and the roots that are trusted. */
const CERTIFICATE = 'tls.crt';
const KEY = 'tls.key';
const ROOTS = 'ca.crt';

export interface SecretRootsOptions {
  readonly api: ApiServer;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly log: Log;
  /** How often the Secret is looked at, in ms. */
  readonly rereadMs?: number;
}

/**
 * The authority's roots and key in the Secret `tulle-authority`: of replicas that start at once one makes it
 * and the others read it. It is read anew every 30 s, so that each learns of other roots. Throws an Error if it
 * belongs to another trust domain, cannot be used, or the API server does not answer.
 */
export async function openSecretRoots(options: SecretRootsOptions): Promise<RootSource> {
  const secrets = options.api.client(CoreV1Api);
  const found = await readOrCreate(secrets, options);
  return new SecretRoots(secrets, options, found, await trustOf(found, options.trustDomain));
}

async function readOrCreate(secrets: CoreV1Api, options: SecretRootsOptions): Promise<V1Secret> {
  const { namespace, trustDomain, log } = options;
  const found = await read(secrets, namespace);
  if (found !== undefined) return found;
  const { certificatePem, keyPem } = await createRoot(trustDomain);
  const made = secretOf(trustDomain, {
    [CERTIFICATE]: certificatePem,
    [KEY]: keyPem,
    [ROOTS]: certificatePem,
  });
  try {
    const created = await secrets.createNamespacedSecret({ namespace, body: made });
    log.info({ secret: `${namespace}/${AUTHORITY_SECRET}` }, 'the root of the mesh was made');
    return created;
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
  }
  // Another replica was first.
  const other = await read(secrets, namespace);
  if (other === undefined) throw new Error(`the Secret ${namespace}/${AUTHORITY_SECRET} came and went`);
  return other;
}

async function read(secrets: CoreV1Api, namespace: string): Promise<V1Secret | undefined> {
  try {
    return await secrets.readNamespacedSecret({ name: AUTHORITY_SECRET, namespace });
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

function secretOf(trustDomain: string, texts: Record<string, string>): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: {
      name: AUTHORITY_SECRET,
      labels: { 'app.kubernetes.io/managed-by': 'tulle' },
      annotations: { [TRUST_DOMAIN]: trustDomain },
    },
    data: Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
    ),
  };
}

/** What a Secret holds. Throws an Error that has nothing of its content. */
async function trustOf({ metadata, data }: V1Secret, trustDomain: string): Promise<Trust> {
  // A Secret that cert-manager writes has no such annotation.
  const known = metadata?.annotations?.[TRUST_DOMAIN] ?? trustDomain;
  const name = `the Secret ${metadata?.namespace}/${AUTHORITY_SECRET}`;
  if (known !== trustDomain)
    throw new Error(`${name} is the authority of the trust domain ${known}, not of ${trustDomain}`);
  const text = (key: string): string => {
    const value = data?.[key];
    if (value === undefined) throw new Error(`${name} has no ${key}`);
    return Buffer.from(value, 'base64').toString('utf8');
  };
  const stored = { certificatePem: text(CERTIFICATE), keyPem: text(KEY) };
  const roots = text(ROOTS);
  try {
    return await readTrust(roots, stored);
  } catch (error) {
    // A parser's error may quote what it read.
    throw new Error(`${name} cannot be used: ${safe(error)}`);
  }
}

function safe(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /^(the authority's|what signs)/.test(message) ? message : 'its content is not PEM that can be read';
}

class SecretRoots implements RootSource {
  private readonly secrets: CoreV1Api;
  private readonly options: SecretRootsOptions;
  private readonly listeners: ((trust: Trust) => void)[] = [];
  private kept: V1Secret;
  private trust: Trust;
  private failure: string | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;
  private closed = false;

  constructor(secrets: CoreV1Api, options: SecretRootsOptions, kept: V1Secret, trust: Trust) {
    this.secrets = secrets;
    this.options = options;
    this.kept = kept;
    this.trust = trust;
    this.schedule();
  }

  current(): Trust {
    return this.trust;
  }

  onChange(listener: (trust: Trust) => void): void {
    this.listeners.push(listener);
  }

  problem(): string | undefined {
    return this.failure;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    const { rereadMs = REREAD_MS } = this.options;
    // By chance earlier: replicas that started together do not ask together.
    this.timer = setTimeout(() => void this.reread(), rereadMs * (0.75 + Math.random() / 4));
    this.timer.unref();
  }

  private async reread(): Promise<void> {
    try {
      const { namespace } = this.options;
      const found = await read(this.secrets, namespace);
      if (found === undefined) await this.restore();
      else if (found.metadata?.resourceVersion !== this.kept.metadata?.resourceVersion)
        await this.take(found);
      this.failure = undefined;
    } catch (error) {
      const failure = reasonOf(error);
      if (failure !== this.failure)
        this.options.log.error({ error: failure }, "the authority's Secret: what was read before holds");
      this.failure = failure;
    }
    if (!this.closed) this.schedule();
  }

  private async take(found: V1Secret): Promise<void> {
    const trust = await trustOf(found, this.options.trustDomain);
    const same =
      trust.bundlePem === this.trust.bundlePem &&
      trust.signer.certificate.equal(this.trust.signer.certificate);
    this.kept = found;
    if (this.closed || same) return;
    this.trust = trust;
    this.options.log.info({ notAfter: trust.signer.certificate.notAfter }, 'the roots of the mesh changed');
    for (const listener of this.listeners) listener(trust);
  }

  /** Without the Secret the next replica would make another root, which no sidecar knows. */
  private async restore(): Promise<void> {
    const { namespace, log } = this.options;
    const { type, data, metadata } = this.kept;
    const { labels, annotations } = metadata ?? {};
    const body: V1Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      ...(type !== undefined && { type }),
      ...(data !== undefined && { data }),
      metadata: {
        name: AUTHORITY_SECRET,
        ...(labels !== undefined && { labels }),
        ...(annotations !== undefined && { annotations }),
      },
    };
    try {
      this.kept = await this.secrets.createNamespacedSecret({ namespace, body });
      log.warn(
        { secret: `${namespace}/${AUTHORITY_SECRET}` },
        "the authority's Secret was gone: it is restored",
      );
    } catch (error) {
      if (statusOf(error) !== 409) throw error; // 409: another replica did, and the next look reads it
    }
  }
}
