import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api, type V1PolicyRule } from '@kubernetes/client-node';
import { installation } from '../../cli/install.ts';
import { until } from '../fixture/wait.ts';
import { manifests } from './helm.ts';

const ACCOUNT = 'control-plane';
/** What the chart lets a replica do, so that tests fail when it comes to need more. */
const CHART = manifests(installation({ set: [], values: [], crds: 'without', apiVersions: [] }));
/** Of who may do all; replicas that a test starts have another one. */
const CLUSTER = process.env.KUBECONFIG;

/** A namespace of a test's own in a real cluster, with the service account of a control plane, and no right more. */
export interface AuthorityNamespace {
  readonly name: string;
  /** `tulle-test=NAME`: of this namespace, and of others that the test makes. */
  readonly selector: string;
  readonly admin: KubeConfig;
  readonly core: CoreV1Api;
  /** Makes another namespace with the label. */
  addNamespace(suffix: string): Promise<string>;
  /** A token by the TokenRequest API; `pod` binds it to one. */
  token(account: string, audience?: string, pod?: string): Promise<string>;
  /** A kubeconfig file of the control plane's service account; `server` stands before the real one. */
  writeKubeconfig(dir: string, server?: string): Promise<string>;
  /** The trust bundle that sidecars of a namespace get, or undefined. */
  bundle(namespace?: string): Promise<string | undefined>;
  remove(): Promise<void>;
}

/** Throws an Error without KUBECONFIG. */
export async function makeAuthorityNamespace(): Promise<AuthorityNamespace> {
  if (CLUSTER === undefined) throw new Error('tests in test/kubernetes need a cluster in KUBECONFIG');
  const admin = new KubeConfig();
  admin.loadFromFile(CLUSTER);
  const core = admin.makeApiClient(CoreV1Api);
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api);
  const name = `authority-${randomBytes(4).toString('hex')}`;
  const made = [name];
  const make = async (namespace: string) => {
    await core.createNamespace({ body: { metadata: { name: namespace, labels: { 'tulle-test': name } } } });
    return namespace;
  };
  await make(name);
  for (const account of [ACCOUNT, 'web'])
    await core.createNamespacedServiceAccount({ namespace: name, body: { metadata: { name: account } } });
  const subjects = [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: name }];
  const metadata = { name };
  const apiGroup = 'rbac.authorization.k8s.io';
  await rbac.createNamespacedRole({
    namespace: name,
    body: { metadata, rules: rulesOf('Role', 'control-plane') },
  });
  await rbac.createNamespacedRoleBinding({
    namespace: name,
    body: { metadata, subjects, roleRef: { apiGroup, kind: 'Role', name } },
  });
  await rbac.createClusterRole({ body: { metadata, rules: rulesOf('ClusterRole', 'tulle-control-plane') } });
  await rbac.createClusterRoleBinding({
    body: { metadata, subjects, roleRef: { apiGroup, kind: 'ClusterRole', name } },
  });
  const token = async (account: string, audience?: string, pod?: string): Promise<string> => {
    const { status } = await core.createNamespacedServiceAccountToken({
      name: account,
      namespace: name,
      body: {
        spec: {
          audiences: audience === undefined ? [] : [audience],
          ...(pod !== undefined && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod } }),
        },
      },
    });
    return status?.token ?? '';
  };
  return {
    name,
    selector: `tulle-test=${name}`,
    admin,
    core,
    async addNamespace(suffix) {
      made.push(await make(`${name}-${suffix}`));
      return `${name}-${suffix}`;
    },
    token,
    writeKubeconfig: async (dir, server) => writeKubeconfig(dir, admin, await token(ACCOUNT), server),
    async bundle(namespace = name) {
      const { items } = await core.listNamespacedConfigMap({ namespace });
      return items.find(({ metadata: found }) => found?.name === 'tulle-trust')?.data?.['bundle.pem'];
    },
    async remove() {
      await rbac.deleteClusterRoleBinding({ name });
      await rbac.deleteClusterRole({ name });
      for (const namespace of made) await core.deleteNamespace({ name: namespace });
      await until('the namespaces to be gone', async () => {
        const { items } = await core.listNamespace({ labelSelector: `tulle-test=${name}` });
        return items.length === 0;
      });
    },
  };
}

function rulesOf(kind: string, name: string): V1PolicyRule[] {
  const role = [...CHART.values()].find((one) => one.kind === kind && one.metadata.name === name);
  if (role === undefined) throw new Error(`the chart has no ${kind} ${name}`);
  return (role as unknown as { rules: V1PolicyRule[] }).rules; // it is applied by the tests of the chart
}

function writeKubeconfig(dir: string, admin: KubeConfig, token: string, server?: string): string {
  const cluster = admin.getCurrentCluster();
  if (cluster === null) throw new Error('KUBECONFIG names no cluster');
  const { caFile, caData } = cluster;
  const ca = caFile === undefined ? caData : readFileSync(caFile).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: {
          server: server ?? cluster.server,
          'certificate-authority-data': ca,
          ...(server !== undefined && { 'tls-server-name': 'kubernetes.default.svc' }),
        },
      },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  const file = join(dir, 'kubeconfig');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
