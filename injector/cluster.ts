import {
  AdmissionregistrationV1Api,
  ApiException,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type V1Secret,
  VersionApi,
} from '@kubernetes/client-node';
import type { CertificateStore, StoredCertificates } from './certificate-rotation.ts';
import type { PodNamespace } from './injection-config.ts';
import { type KubernetesVersion, parseKubernetesVersion } from './kubernetes-version.ts';
import type { ServingCertificate } from './serving-certificate.ts';

const CERTIFICATE_SECRET = 'tulle-injector-certificate';

/** What the injector asks of the API server. All reject when it cannot be reached or does not allow it. */
export interface Cluster {
  version(): Promise<KubernetesVersion>;
  readNamespace(name: string): Promise<PodNamespace | undefined>;
  /** The certificate's Secret in `namespace`. */
  certificateStore(namespace: string): CertificateStore;
  /** Writes the bundle into both webhook configurations of this name. */
  announceBundle(configuration: string, bundlePem: string): Promise<void>;
}

/** The cluster that KUBECONFIG names, or the one that this process runs in. */
export function openCluster(): Cluster {
  const config = new KubeConfig();
  config.loadFromDefault();
  const core = config.makeApiClient(CoreV1Api);
  const admission = config.makeApiClient(AdmissionregistrationV1Api);
  return {
    async version() {
      const { major, minor } = await config.makeApiClient(VersionApi).getCode();
      const version = parseKubernetesVersion(`${major}.${minor}`);
      if (version === undefined)
        throw new Error(`the API server has the version ${major}.${minor}, which is none`);
      return version;
    },
    async readNamespace(name) {
      const namespace = await found(core.readNamespace({ name }));
      return (
        namespace && {
          name,
          labels: namespace.metadata?.labels ?? {},
          annotations: namespace.metadata?.annotations ?? {},
        }
      );
    },
    certificateStore: (namespace) => certificateStore(core, namespace),
    announceBundle: (configuration, bundlePem) => announceBundle(admission, configuration, bundlePem),
  };
}

/** What was asked for, or undefined if there is none. */
async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return undefined;
    throw error;
  }
}

function certificateStore(core: CoreV1Api, namespace: string): CertificateStore {
  const name = CERTIFICATE_SECRET;
  return {
    async read() {
      const secret = await found(core.readNamespacedSecret({ name, namespace }));
      return secret && { stored: fromSecret(secret), revision: secret.metadata?.resourceVersion ?? '' };
    },
    async write(stored, revision) {
      const body = toSecret(stored, {
        name,
        namespace,
        ...(revision !== undefined && { resourceVersion: revision }),
      });
      try {
        if (revision === undefined) await core.createNamespacedSecret({ namespace, body });
        else await core.replaceNamespacedSecret({ name, namespace, body });
        return true;
      } catch (error) {
        if (error instanceof ApiException && error.code === 409) return false;
        throw error;
      }
    },
  };
}

function toSecret(stored: StoredCertificates, metadata: NonNullable<V1Secret['metadata']>): V1Secret {
  const { current, next, bundlePem } = stored;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': encode(current.certificatePem),
      'tls.key': encode(current.keyPem),
      'ca.crt': encode(bundlePem),
      ...(next !== undefined && { 'next.crt': encode(next.certificatePem), 'next.key': encode(next.keyPem) }),
    },
  };
}

function fromSecret({ data = {} }: V1Secret): Partial<StoredCertificates> {
  const current = pair(data['tls.crt'], data['tls.key']);
  const next = pair(data['next.crt'], data['next.key']);
  return {
    ...(current !== undefined && { current }),
    ...(next !== undefined && { next }),
    bundlePem: decode(data['ca.crt'] ?? ''),
  };
}

function pair(certificate: string | undefined, key: string | undefined): ServingCertificate | undefined {
  return certificate === undefined || key === undefined
    ? undefined
    : { certificatePem: decode(certificate), keyPem: decode(key) };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decode(text: string): string {
  return Buffer.from(text, 'base64').toString();
}

interface Configuration {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly clientConfig: { readonly caBundle?: string };
  }[];
}

async function announceBundle(
  api: AdmissionregistrationV1Api,
  name: string,
  bundlePem: string,
): Promise<void> {
  const json = setHeaderOptions('Content-Type', PatchStrategy.JsonPatch);
  const caBundle = encode(bundlePem);
  const mutating = await found(api.readMutatingWebhookConfiguration({ name }));
  const validating = await found(api.readValidatingWebhookConfiguration({ name }));
  if (mutating === undefined) throw new Error(`there is no MutatingWebhookConfiguration ${name}`);
  const pods = bundlePatch(mutating, caBundle);
  if (pods.length > 0) await api.patchMutatingWebhookConfiguration({ name, body: pods }, json);
  const objects = validating === undefined ? [] : bundlePatch(validating, caBundle);
  if (objects.length > 0) await api.patchValidatingWebhookConfiguration({ name, body: objects }, json);
}

/** Each place is tested for the webhook that was read there: another might have come before it. */
export function bundlePatch({ webhooks = [] }: Configuration, caBundle: string): object[] {
  return webhooks.flatMap(({ name, clientConfig }, index) =>
    clientConfig.caBundle === caBundle
      ? []
      : [
          { op: 'test', path: `/webhooks/${index}/name`, value: name },
          { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle },
        ],
  );
}
