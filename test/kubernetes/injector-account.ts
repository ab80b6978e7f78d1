import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { created, kubectl } from './api-objects.ts';

const API = 'rbac.authorization.k8s.io/v1';

/**
 * A service account `injector` that may do what the injector needs and no more, so that tests fail when it comes
 * to need more. Returns a kubeconfig file of it; all is gone when the test ends.
 */
export async function injectorAccount(context: TestContext, id: string, namespace: string): Promise<string> {
  context.after(() => kubectl(['delete', 'clusterrole,clusterrolebinding', id, '--ignore-not-found']));
  const subjects = [{ kind: 'ServiceAccount', name: 'injector', namespace }];
  const own = { name: 'injector', namespace };
  await created({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: own });
  await created({
    apiVersion: API,
    kind: 'Role',
    metadata: own,
    rules: [
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['tulle-injector-certificate'],
        verbs: ['get', 'update'],
      },
    ],
  });
  await created({
    apiVersion: API,
    kind: 'ClusterRole',
    metadata: { name: id },
    rules: [
      { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
        resourceNames: [id],
        verbs: ['get', 'patch'],
      },
    ],
  });
  const roleRef = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
  await created({
    apiVersion: API,
    kind: 'RoleBinding',
    metadata: own,
    roleRef: roleRef('Role', 'injector'),
    subjects,
  });
  await created({
    apiVersion: API,
    kind: 'ClusterRoleBinding',
    metadata: { name: id },
    roleRef: roleRef('ClusterRole', id),
    subjects,
  });
  return kubeconfigOf(context, namespace);
}

async function kubeconfigOf(context: TestContext, namespace: string): Promise<string> {
  const token = await kubectl(['create', 'token', 'injector', '-n', namespace]);
  assert.equal(token.code, 0, token.err);
  const view = await kubectl(['config', 'view', '--minify', '--flatten', '-o', 'json']);
  const { clusters } = JSON.parse(view.out) as { clusters: [{ cluster: object }] };
  const folder = mkdtempSync(join(tmpdir(), 'tulle-injector-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: clusters[0].cluster }],
    users: [{ name: 'injector', user: { token: token.out.trim() } }],
    contexts: [{ name: 'injector', context: { cluster: 'cluster', user: 'injector' } }],
    'current-context': 'injector',
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
