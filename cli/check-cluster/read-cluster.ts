import {
  AdmissionregistrationV1Api,
  ApiException,
  ApisApi,
  AppsV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  type V1Pod,
  VersionApi,
} from '@kubernetes/client-node';
import {
  type ClusterFacts,
  type Definition,
  type DeploymentFacts,
  type PodFacts,
  schemasOf,
  type WebhookFacts,
} from './facts.ts';

const SYSTEM = 'tulle-system';
const INJECT = 'tulle.dev/inject';
const PAGE = 500;
const ANSWER_MS = 15_000;

/** What an installation makes, or reads: verb, group, resource. */
const NEEDED = [
  ['create', '', 'namespaces'],
  ['create', '', 'services'],
  ['create', '', 'serviceaccounts'],
  ['create', 'apps', 'deployments'],
  ['create', 'policy', 'poddisruptionbudgets'],
  ['create', 'networking.k8s.io', 'networkpolicies'],
  ['create', 'apiextensions.k8s.io', 'customresourcedefinitions'],
  ['create', 'rbac.authorization.k8s.io', 'clusterroles'],
  ['create', 'rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['create', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations'],
  ['create', 'admissionregistration.k8s.io', 'validatingwebhookconfigurations'],
] as const;

/** Reads the cluster of KUBECONFIG (or of this pod). Throws an Error if its API server does not answer. */
export async function readCluster(context: string | undefined): Promise<ClusterFacts> {
  const config = kubeConfig(context);
  const version = await answer(config);
  const core = config.makeApiClient(CoreV1Api);
  const admission = config.makeApiClient(AdmissionregistrationV1Api);
  const name = 'tulle-injector';
  const unread: string[] = [];
  /** What could be read; `otherwise` where it could not, or is not there. */
  const read = async <T>(what: string, asked: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await asked();
    } catch (error) {
      if (!(error instanceof ApiException)) throw error;
      if (error.code !== 404) unread.push(`${what} (${error.code})`);
      return otherwise;
    }
  };
  const inSystem = { namespace: SYSTEM };
  return {
    version,
    kubelets: await read('nodes', async () => kubelets(core), []),
    forbidden: await read('permissions', () => forbidden(config.makeApiClient(AuthorizationV1Api)), []),
    groups: (await config.makeApiClient(ApisApi).getAPIVersions()).groups.map((group) => group.name),
    crds: await read(
      'CustomResourceDefinitions',
      () => crds(config.makeApiClient(CustomObjectsApi)),
      new Map(),
    ),
    namespaces: await read('namespaces', () => namespaces(core), []),
    pods: await read('pods', () => pods(core), []),
    deployments: await read('deployments', () => deployments(config.makeApiClient(AppsV1Api)), new Map()),
    services: await read(
      'services',
      async () =>
        (await core.listNamespacedService(inSystem)).items.map(({ metadata }) => metadata?.name ?? ''),
      [],
    ),
    mutating: await read(
      'webhooks',
      async () => webhookFacts(await admission.readMutatingWebhookConfiguration({ name })),
      undefined,
    ),
    validating: await read(
      'webhooks',
      async () => webhookFacts(await admission.readValidatingWebhookConfiguration({ name })),
      undefined,
    ),
    servingCertificate: await read("the injector's certificate", () => servingCertificate(core), undefined),
    bundles: await read('ConfigMaps', () => bundles(core), new Map()),
    unread,
  };
}

function kubeConfig(context: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
  } catch (error) {
    throw new Error(`KUBECONFIG cannot be read: ${(error as Error).message.split('\n')[0]}`);
  }
  if (context === undefined) return config;
  const known = config.getContexts().map(({ name }) => name);
  if (!known.includes(context))
    throw new Error(`--context "${context}" is not in KUBECONFIG; write one of ${known.join(', ')}`);
  config.setCurrentContext(context);
  return config;
}

/** The version of the API server: the first that is asked of it. */
async function answer(config: KubeConfig): Promise<string> {
  const server = config.getCurrentCluster()?.server ?? 'nowhere';
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  try {
    return (await Promise.race([config.makeApiClient(VersionApi).getCode(), late])).gitVersion;
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? cause.message : (message.split('\n')[0] ?? '');
    throw new Error(
      `the API server at ${server} does not answer (${reason}); look at KUBECONFIG, or at --context`,
    );
  } finally {
    clearTimeout(timer);
  }
}

async function kubelets(core: CoreV1Api): Promise<string[]> {
  const { items } = await core.listNode();
  return [...new Set(items.map(({ status }) => status?.nodeInfo?.kubeletVersion ?? ''))];
}

async function forbidden(authorization: AuthorizationV1Api): Promise<string[]> {
  const asked = NEEDED.map(async ([verb, group, resource]) => {
    const body = { spec: { resourceAttributes: { verb, group, resource, namespace: SYSTEM } } };
    const { status } = await authorization.createSelfSubjectAccessReview({ body });
    return status?.allowed === true ? [] : [`${verb} ${resource}`];
  });
  return (await Promise.all(asked)).flat();
}

/** As they are: the client's own type of them has other names for fields such as default and x-kubernetes-*. */
async function crds(objects: CustomObjectsApi): Promise<Map<string, string>> {
  const { items } = (await objects.listClusterCustomObject({
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
  })) as { items: readonly CustomResourceDefinition[] };
  const ours = items.filter(({ spec }) => spec.group === 'tulle.dev');
  return new Map(ours.map((crd) => [crd.metadata.name, schemasOf(crd)]));
}

interface CustomResourceDefinition extends Definition {
  readonly metadata: { readonly name: string };
  readonly spec: Definition['spec'] & { readonly group: string };
}

async function namespaces(core: CoreV1Api): Promise<ClusterFacts['namespaces']> {
  const { items } = await core.listNamespace();
  return items.map(({ metadata }) => ({ name: metadata?.name ?? '', inject: metadata?.labels?.[INJECT] }));
}

async function pods(core: CoreV1Api): Promise<PodFacts[]> {
  const found: PodFacts[] = [];
  let next: string | undefined;
  do {
    const page = await core.listPodForAllNamespaces({
      limit: PAGE,
      ...(next !== undefined && { _continue: next }),
    });
    found.push(...page.items.map(podFacts));
    next = page.metadata?._continue || undefined;
  } while (next !== undefined);
  return found;
}

function podFacts({ metadata, spec, status }: V1Pod): PodFacts {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const meshed = containers.some(({ name }) => name === 'tulle-proxy');
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    inject: metadata?.labels?.[INJECT],
    hostNetwork: spec?.hostNetwork === true,
    over:
      metadata?.deletionTimestamp !== undefined ||
      status?.phase === 'Succeeded' ||
      status?.phase === 'Failed',
    proxy: meshed
      ? {
          version: metadata?.annotations?.['tulle.dev/proxy-version'],
          ready: statuses.some(({ name, ready }) => name === 'tulle-proxy' && ready),
        }
      : undefined,
  };
}

async function deployments(apps: AppsV1Api): Promise<Map<string, DeploymentFacts>> {
  const { items } = await apps.listNamespacedDeployment({ namespace: SYSTEM });
  return new Map(
    items.map(({ metadata, spec, status }) => [
      metadata?.name ?? '',
      {
        wanted: spec?.replicas ?? 1,
        ready: status?.readyReplicas ?? 0,
        images: spec?.template.spec?.containers.map(({ image }) => image ?? '') ?? [],
      },
    ]),
  );
}

function webhookFacts({
  webhooks = [],
}: {
  webhooks?: readonly { clientConfig: { caBundle?: string } }[];
}): WebhookFacts {
  return { caBundles: webhooks.map(({ clientConfig }) => decoded(clientConfig.caBundle)) };
}

async function servingCertificate(core: CoreV1Api): Promise<string | undefined> {
  const secret = await core.readNamespacedSecret({ namespace: SYSTEM, name: 'tulle-injector-certificate' });
  return decoded(secret.data?.['tls.crt']);
}

function decoded(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString();
}

async function bundles(core: CoreV1Api): Promise<Map<string, string>> {
  const { items } = await core.listConfigMapForAllNamespaces({ fieldSelector: 'metadata.name=tulle-trust' });
  return new Map(items.map(({ metadata, data }) => [metadata?.namespace ?? '', data?.['bundle.pem'] ?? '']));
}
