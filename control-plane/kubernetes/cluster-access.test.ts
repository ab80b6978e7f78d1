import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { clusterAccess } from './cluster-access.ts';

const kubeconfig = (server: string) =>
  JSON.stringify({
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });

test('KUBECONFIG goes before the pod that this is, and that before the file at home', (context) => {
  const home = temporaryDir(context);
  const file = join(home, 'elsewhere');
  writeFileSync(file, kubeconfig('https://named'));
  mkdirSync(join(home, '.kube'));
  writeFileSync(join(home, '.kube', 'config'), kubeconfig('https://home'));
  const pod = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  // The library reads the place of the API server from the process.
  const before = process.env;
  process.env = { ...before, ...pod };
  context.after(() => {
    process.env = before;
  });
  const server = (environment: NodeJS.ProcessEnv) => clusterAccess(environment).getCurrentCluster()?.server;
  assert.equal(server({ HOME: home, KUBECONFIG: file, ...pod }), 'https://named');
  assert.equal(server({ HOME: home, ...pod }), 'https://[fd00::1]:443');
  assert.equal(server({ HOME: home }), 'https://home');
});

test('without any way to a cluster it says what it looked for, and does not try localhost', (context) => {
  const home = temporaryDir(context);
  assert.throws(() => clusterAccess({ HOME: home }), {
    message: `there is no way to a cluster: this is no pod, KUBECONFIG is not set, and there is no ${home}/.kube/config`,
  });
});
