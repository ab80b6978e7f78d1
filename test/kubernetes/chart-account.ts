import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { installation } from '../../cli/install.ts';
import { apply, kubectl } from './kubectl-now.ts';

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules: readonly object[];
}

const API = 'rbac.authorization.k8s.io/v1';
const ROLE_OF_RELEASE = 'control-plane';
const CLUSTER_ROLE = 'tulle-control-plane';

/**
 * A service account of `namespace` that may do what the chart lets the control plane do, and no more. Returns a
 * kubeconfig file of it in `folder`; `removeChartAccount` takes the rights away.
 */
export function chartAccount(namespace: string, set: readonly string[], folder: string): string {
  const text = installation({ set, values: [], crds: 'without', apiVersions: [] });
  const roles = parseAllDocuments(text).map((document) => document.toJS() as Role);
  const rulesOf = (kind: string, name: string) =>
    roles.find((one) => one.kind === kind && one.metadata.name === name)?.rules ?? [];
  const metadata = { name: namespace, namespace };
  const subjects = [{ kind: 'ServiceAccount', name: namespace, namespace }];
  const bound = (kind: string, rules: readonly object[]) => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: namespace };
    return [
      { apiVersion: API, kind, metadata, rules },
      { apiVersion: API, kind: `${kind}Binding`, metadata, roleRef, subjects },
    ];
  };
  apply(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    ...bound('Role', rulesOf('Role', ROLE_OF_RELEASE)),
    ...bound('ClusterRole', rulesOf('ClusterRole', CLUSTER_ROLE)),
  );
  const token = kubectl(['create', 'token', namespace, '-n', namespace]).trim();
  const view = kubectl(['config', 'view', '--minify', '--flatten', '-o', 'json']);
  const { clusters } = JSON.parse(view) as { clusters: [{ cluster: object }] };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: clusters[0].cluster }],
    users: [{ name: 'control-plane', user: { token } }],
    contexts: [{ name: 'control-plane', context: { cluster: 'cluster', user: 'control-plane' } }],
    'current-context': 'control-plane',
  };
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

export function removeChartAccount(namespace: string): void {
  kubectl(['delete', 'clusterrole,clusterrolebinding', namespace, '--ignore-not-found']);
}
