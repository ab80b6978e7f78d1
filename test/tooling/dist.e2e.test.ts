import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VERSION } from '../../protocol/version.ts';
import { ROOT } from './repository.ts';

/** No node_modules here or above: what is missing in the bundle is missing. */
const folder = mkdtempSync(join(tmpdir(), 'tulle-dist-'));
const bin = join(folder, 'dist/tulle.js');
let built = '';

before(() => {
  const args = [join(ROOT, 'build.ts'), '--out', join(folder, 'dist')];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  built = stdout;
  copyFileSync(join(ROOT, 'docs/examples/mesh.yaml'), join(folder, 'mesh.yaml'));
});

after(() => rmSync(folder, { recursive: true, force: true }));

function tulle(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: 'utf8' });
}

test('the build says how long a start takes', () => {
  assert.match(built, /^tulle version: \d+ ms/m);
});

test('tulle version runs without node_modules', () => {
  const { status, stdout, stderr } = tulle('version');
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: `${VERSION}\n`, stderr: '' });
});

test('the bin runs by itself', () => {
  const { status, stdout } = spawnSync(bin, ['version'], { encoding: 'utf8' });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: `${VERSION}\n` });
});

test('tulle check runs without node_modules', () => {
  const { status, stdout } = tulle('check', 'mesh.yaml');
  assert.match(stdout, /^mesh\.yaml: ok, /m);
  assert.equal(status, 0);
});

test('each command and its help load without node_modules', () => {
  const { stdout } = tulle('--help');
  const names = [...stdout.matchAll(/^ {2}([a-z-]+)(?= )/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help');
  assert.ok(names.includes('sidecar') && names.includes('control-plane') && names.includes('demo'), stdout);
  for (const name of names) assert.equal(tulle(name, '--help').status, 0, name);
});

test('tulle install prints the chart that is in the bundle', () => {
  const { status, stdout, stderr } = tulle('install', '--profile', 'dev');
  assert.equal(status, 0, stderr);
  for (const kind of ['CustomResourceDefinition', 'Namespace', 'Deployment', 'MutatingWebhookConfiguration'])
    assert.match(stdout, new RegExp(`^kind: ${kind}$`, 'm'));
});

test('the client of Kubernetes stands apart, and no sidecar loads it', () => {
  const loads = (file: string) =>
    readFileSync(join(folder, 'dist', file), 'utf8').includes('require("./kubernetes-client.js")');
  assert.ok(loads('commands.js'));
  for (const file of ['tulle.js', 'main.js', 'sidecar.js', 'supervisor.js', 'worker.js'])
    assert.ok(!loads(file), file);
});

test('the authority and its libraries run without node_modules', () => {
  const { status, stdout, stderr } = tulle('identity', 'shop/orders', '--out', 'identities');
  assert.equal(status, 0, stderr);
  const [cert = ''] = stdout.split(',');
  assert.match(readFileSync(join(folder, cert), 'utf8'), /^-----BEGIN CERTIFICATE-----/);
});

for (const [what, more] of [
  ['a sidecar', []],
  ['a sidecar of two workers', ['--workers', '2']],
] as const) {
  test(`${what} runs on a file without node_modules, logs and serves its metrics`, () => serves(more));
}

async function serves(more: readonly string[]): Promise<void> {
  const listeners = ['--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--access-log', ...more];
  const args = [bin, 'sidecar', '--standalone', 'mesh.yaml', ...listeners];
  const sidecar = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  sidecar.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  try {
    const [line] = await once(sidecar.stdout, 'data');
    const { admin, outbound } = JSON.parse(String(line)) as { admin: string; outbound: string };
    assert.equal((await fetch(`http://${outbound}/logged`)).status, 404);
    assert.match(await (await fetch(`http://${admin}/metrics`)).text(), /^tulle_build_info\{/m);
  } finally {
    sidecar.kill('SIGTERM');
    await once(sidecar, 'close');
  }
  assert.match(log, /^\{.*"\/logged".*\}$/m);
}

/** Built-in modules that a sidecar loads for HTTP in plain text; `cluster` and `dgram` come with listening. */
const NEEDED = [
  ...['async_hooks', 'buffer', 'child_process', 'cluster', 'crypto', 'dgram', 'diagnostics_channel', 'dns'],
  ...[
    'events',
    'fs',
    'module',
    'net',
    'os',
    'path',
    'perf_hooks',
    'querystring',
    'stream',
    'stream/promises',
  ],
  ...['string_decoder', 'timers', 'url', 'util', 'util/types'],
];

test('a sidecar that speaks HTTP only loads no TLS, HTTP/2, compression, log or metrics page before they are needed', async () => {
  const list = join(folder, 'list.cjs');
  const told = join(folder, 'loaded.json');
  writeFileSync(
    list,
    `process.on('exit', () => {
      const builtins = process.moduleLoadList.filter((name) => name.startsWith('NativeModule '));
      const files = Object.keys(require.cache).map((file) => require('node:path').basename(file));
      require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify({ builtins, files }));
    });`,
  );
  const listeners = ['--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const args = ['--require', list, bin, 'sidecar', '--standalone', 'mesh.yaml', ...listeners];
  const sidecar = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await once(sidecar.stdout, 'data');
    const { admin, outbound } = JSON.parse(String(line)) as { admin: string; outbound: string };
    assert.equal((await fetch(`http://${outbound}/nowhere`)).status, 404);
    assert.equal((await fetch(`http://${admin}/readyz`)).status, 200);
  } finally {
    sidecar.kill('SIGTERM');
    await once(sidecar, 'close');
  }
  const loaded = JSON.parse(readFileSync(told, 'utf8')) as { builtins: string[]; files: string[] };
  const builtins = loaded.builtins.map((name) => name.slice('NativeModule '.length));
  const unexpected = builtins.filter((name) => !name.startsWith('internal/') && !NEEDED.includes(name));
  assert.deepEqual(unexpected, []);
  assert.deepEqual(loaded.files.toSorted(), ['list.cjs', 'main.js', 'sidecar.js', 'tulle.js']);
});

test('a Node that is too old is told so in one line', () => {
  // The bin looks at the version that the process reports: here, an old one.
  const old = join(folder, 'old-node.mjs');
  writeFileSync(
    old,
    "Object.defineProperty(process.versions, 'node', { value: '20.1.0' });\nObject.defineProperty(process, 'version', { value: 'v20.1.0' });\n",
  );
  const { status, stderr } = spawnSync(process.execPath, ['--import', old, bin, 'version'], {
    encoding: 'utf8',
  });
  assert.equal(stderr, 'tulle: Node 24 or newer is needed, and this is v20.1.0\n');
  assert.equal(status, 1);
});

test('the licences of what is bundled travel with it', () => {
  const text = readFileSync(join(folder, 'dist/licenses.txt'), 'utf8');
  for (const name of ['zod', 'undici', 'commander', 'pino', 'prom-client', 'jose', 'yaml']) {
    assert.match(text, new RegExp(`^${name} \\d`, 'm'));
  }
});
