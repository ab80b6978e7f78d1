import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { VERSION } from '../../protocol/version.ts';
import { runCommand } from '../fixture/command.ts';

const NAMESPACE = `image-test-${randomBytes(4).toString('hex')}`;

/** Needs no more than what the restricted standard leaves: not root, nothing written, no capability. */
const SECURITY = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

const FFI = `
  const { dlopen } = require('node:ffi');
  const { functions } = dlopen('libc.so.6', { getuid: { arguments: [], return: 'u32' } });
  console.log(functions.getuid());
`;

const CONTAINERS: Readonly<Record<string, { args?: string[]; command?: string[] }>> = {
  version: { args: ['version'] },
  help: { args: ['sidecar', '--help'] },
  install: { args: ['install', '--crds', 'only'] },
  flags: { command: ['/usr/bin/tulle', 'version'] },
  ffi: { command: ['/usr/bin/node', '-e', FFI] },
  iptables: { command: ['iptables-nft-restore', '--version'] },
  ip6tables: { command: ['ip6tables-nft-restore', '--version'] },
  writes: { command: ['/usr/bin/node', '-e', "require('node:fs').writeFileSync('/tmp/x', '')"] },
};

before(async () => {
  await kubectl('', 'create', 'namespace', NAMESPACE);
  await kubectl('', 'label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted');
  const containers = Object.entries(CONTAINERS).map(([name, { args, command }]) => ({
    name,
    image: `tulle:${VERSION}`,
    imagePullPolicy: 'IfNotPresent',
    ...(args !== undefined && { args }),
    ...(command !== undefined && { command }),
    securityContext: SECURITY,
  }));
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'tried', namespace: NAMESPACE },
    spec: { restartPolicy: 'Never', automountServiceAccountToken: false, containers },
  };
  await kubectl(JSON.stringify(pod), 'apply', '--server-side', '-f', '-');
  // One of them fails, and with it the pod.
  await kubectl(
    '',
    '-n',
    NAMESPACE,
    'wait',
    'pod/tried',
    '--for=jsonpath={.status.phase}=Failed',
    '--timeout=90s',
  );
});

after(() => kubectl('', 'delete', 'namespace', NAMESPACE));

async function kubectl(input: string, ...args: readonly string[]): Promise<string> {
  const { code, out, err } = await runCommand('kubectl', args, { input, limitMs: 120_000 });
  if (code !== 0) throw new Error(err);
  return out;
}

function log(container: string): Promise<string> {
  return kubectl('', '-n', NAMESPACE, 'logs', 'tried', '--container', container);
}

test('tulle runs with a read-only root, without a user of its own choice, and without a shell', async () => {
  assert.equal(await log('version'), `${VERSION}\n`);
  assert.equal(await log('flags'), `${VERSION}\n`);
  assert.match(await log('help'), /^Usage: tulle sidecar/);
  assert.match(await log('install'), /kind: CustomResourceDefinition/);
});

test('the C library is found by node:ffi, and the user is 2102', async () => {
  assert.match(await log('ffi'), /^2102$/m);
});

test('iptables for both families runs, of the nft backend', async () => {
  for (const name of ['iptables', 'ip6tables']) assert.match(await log(name), /v1\.\d+\.\d+ \(nf_tables\)/);
});

test('nothing can be written', async () => {
  assert.match(await log('writes'), /EROFS/);
});
