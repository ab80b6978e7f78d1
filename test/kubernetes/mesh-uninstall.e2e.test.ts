import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../fixture/wait.ts';
import { read } from '../tooling/repository.ts';
import { documentedCommands, runBlock } from './documented-commands.ts';
import { installMesh, SYSTEM } from './installed-mesh.ts';
import {
  apply,
  kubectl,
  leaveNamespace,
  makeNamespace,
  pods,
  restart,
  rolledOut,
  uniqueName,
} from './kubectl.ts';
import { podLoad } from './pod-load.ts';
import { deployment, service } from './workloads.ts';

const SHOP = uniqueName('tulle-uninstall');
const LABEL = 'tulle.dev/inject';

/** Without a mesh it is the pod's own business that nobody is sent to it any more when it ends. */
const WISHES = { container: { lifecycle: { preStop: { sleep: { seconds: 4 } } } } };
const [PROXY, PLAIN] = [['tulle-capture', 'tulle-proxy', 'app'], ['app']];

before(async () => {
  await installMesh();
  await makeNamespace(SHOP);
  await apply([
    ...deployment(SHOP, 'front', { ...WISHES, args: ['--calls=http://back:8080/'] }),
    ...deployment(SHOP, 'back', WISHES),
    service(SHOP, 'front'),
    service(SHOP, 'back'),
  ]);
  await rolledOut(SHOP, 'deployment/front', 'deployment/back');
});
after(() => leaveNamespace(SHOP));

test('while visitors come, pods join the mesh and leave it, and it is uninstalled: no request fails', async (context) => {
  const url = 'http://front:8080/';
  const plain = await podLoad(context, SHOP, 'plain', url, 10);
  await plain.next(1);
  await kubectl('label', 'namespace', SHOP, `${LABEL}=enabled`);
  const meshed = await podLoad(context, SHOP, 'meshed', url, 10);
  for (const app of ['back', 'front']) {
    await restart(SHOP, `deployment/${app}`);
    assert.deepEqual(await containersOf(app), PROXY);
    await Promise.all([plain.next(10), meshed.next(10)]);
  }
  await kubectl('label', 'namespace', SHOP, `${LABEL}-`);
  for (const app of ['back', 'front']) {
    await restart(SHOP, `deployment/${app}`);
    assert.deepEqual(await containersOf(app), PLAIN);
    await Promise.all([plain.next(10), meshed.next(10)]);
  }
  const others = /^(?:kubectl label|kubectl --namespace|tulle check|#).*\n/gm;
  await runBlock(block('helm uninstall tulle', others));
  // The proxy of the one visitor goes on without a control plane.
  await Promise.all([plain.next(10), meshed.next(10)]);
  const tallies = await Promise.all([plain.stop(), meshed.stop()]);
  assert.deepEqual(
    tallies.map(({ failures }) => failures),
    [{}, {}],
  );
});

/** Of the one pod of an app that is not about to end. */
async function containersOf(app: string): Promise<string[]> {
  const staying = (await pods(SHOP, `app=${app}`)).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
  return staying.flatMap(({ spec }) =>
    [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name),
  );
}

test('what is left is what docs/installation.md says, and its last commands take that away too', async () => {
  await leaves(
    'ConfigMap tulle-trust',
    'CustomResourceDefinition accesspolicies.tulle.dev',
    'CustomResourceDefinition aggregates.tulle.dev',
    'CustomResourceDefinition trafficpolicies.tulle.dev',
    'Lease control-plane',
    'Namespace tulle-system',
    'Secret tulle-authority',
    'Secret tulle-injector-certificate',
  );
  await runBlock(block('kubectl delete configmap --all-namespaces'));
  await leaves();
});

/** Waits until this and nothing else of the mesh is left: pods take their time. */
async function leaves(...expected: readonly string[]): Promise<void> {
  let left: string[] = [];
  await until(`no more than ${expected.join(', ')} to be left`, async () => {
    left = await leftovers();
    return isDeepStrictEqual(left, expected);
  }).catch(() => assert.deepEqual(left, expected));
}

/** The block of docs/installation.md with a command, without the lines that are left out. */
function block(command: string, leftOut = /^$/): { readonly line: number; readonly text: string } {
  const found = documentedCommands(read('docs/installation.md')).find(({ text }) => text.includes(command));
  assert.ok(found !== undefined, `docs/installation.md has not ${command}`);
  return { line: found.line, text: found.text.replace(leftOut, '') };
}

/** Kind and name of all that the mesh brought or made, in all namespaces. */
async function leftovers(): Promise<string[]> {
  const kinds = (await kubectl('api-resources', '--verbs=list', '-o', 'name')).trim().split('\n');
  const listed = kinds.filter((kind) => !kind.startsWith('events')).join(',');
  const columns = 'custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name';
  const table = await kubectl(
    'get',
    listed,
    '--all-namespaces',
    '--ignore-not-found',
    '--no-headers',
    '-o',
    columns,
  );
  const ours = table
    .trim()
    .split('\n')
    .map((line) => line.split(/ +/))
    .filter(([kind = '', namespace, name = '']) => isOurs(kind, namespace, name))
    .map(([kind, , name]) => `${kind} ${name}`);
  return [...new Set(ours)].sort();
}

function isOurs(kind: string, namespace: string | undefined, name: string): boolean {
  if (kind === 'APIService') return false; // of a definition
  if (name === 'tulle-trust') return true;
  if (namespace !== '<none>')
    return namespace === SYSTEM && name !== 'default' && name !== 'kube-root-ca.crt';
  return name.includes('tulle') && (kind !== 'Namespace' || name === SYSTEM);
}
