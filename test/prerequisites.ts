import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Something that tests need and npm does not bring. */
export interface Prerequisite {
  readonly name: string;
  /** Which tests need it, and what for. */
  readonly why: string;
  isThere(): boolean;
  /** Debian's packages that bring it, as in a Depends field: `name`, or `name (>= version)`. */
  readonly packages: readonly string[];
  /** The line that brings it where Debian has none, or too old a one. */
  readonly otherwise?: string;
}

/** Where Debian keeps PostgreSQL's own programs; undefined when it is not installed. */
export function postgresPrograms(): string | undefined {
  return globSync('/usr/lib/postgresql/*/bin').sort().at(-1);
}

const GO: Prerequisite = {
  name: 'Go 1.21 or newer',
  why: "builds gRPC's own interoperability programs, h2spec and the Kubernetes of test/kubernetes; a newer Go that they need it fetches itself",
  isThere: () => goVersion() >= 1.21,
  packages: ['golang-go (>= 2:1.21~)'],
  otherwise:
    'curl -fsSL https://go.dev/dl/go1.26.8.linux-amd64.tar.gz | tar -xzC /usr/local && ln -s /usr/local/go/bin/go /usr/local/bin/go',
};

/** Parts of the project that need a program add it: Redis, PostgreSQL, Chromium ... */
const PREREQUISITES: readonly Prerequisite[] = [
  GO,
  {
    name: 'Redis',
    why: 'tcp-redis.e2e.test.ts: a real server and client through both sidecars',
    isThere: () => onPath('redis-server') && onPath('redis-cli'),
    packages: ['redis-server', 'redis-tools'],
  },
  {
    name: 'PostgreSQL',
    why: 'tcp-postgres.e2e.test.ts: a real server and client through both sidecars',
    isThere: () => postgresPrograms() !== undefined && onPath('psql'),
    packages: ['postgresql', 'postgresql-client'],
  },
  {
    name: 'iptables, ip and nsenter',
    why: 'capture.e2e.test.ts: redirects connections in network namespaces of its own; they need root',
    isThere: () =>
      ['iptables-nft-restore', 'iptables-legacy-restore', 'ip', 'unshare', 'nsenter', 'setpriv'].every(
        onPath,
      ),
    packages: ['iptables', 'iproute2', 'util-linux'],
  },
  {
    name: 'iptables (nft) and strip',
    why: 'image.e2e.test.ts: the image holds the one, and a Node without symbols',
    isThere: () => existsSync('/usr/sbin/xtables-nft-multi') && onPath('strip'),
    packages: ['iptables', 'binutils'],
  },
];

/** What the Kubernetes of test/kubernetes needs besides what is built for it. */
export const CLUSTER_PREREQUISITES: readonly Prerequisite[] = [
  GO,
  {
    name: 'containerd and runc',
    why: 'run the pods of test/kubernetes',
    isThere: () => onPath('containerd') && onPath('ctr') && onPath('runc'),
    packages: ['containerd', 'runc'],
  },
  {
    name: 'network plugins',
    why: 'connect the pods of test/kubernetes',
    isThere: () => existsSync('/usr/lib/cni/ptp') && existsSync('/usr/lib/cni/host-local'),
    packages: ['containernetworking-plugins'],
  },
  {
    name: 'iptables, conntrack, ip, nsenter and tcpdump',
    why: "kube-proxy, the node's network, and captures in test/kubernetes",
    isThere: () =>
      ['iptables', 'ip6tables', 'conntrack', 'ip', 'sysctl', 'nsenter', 'tcpdump'].every((program) =>
        onPath(program),
      ),
    packages: ['iptables', 'conntrack', 'iproute2', 'procps', 'util-linux', 'tcpdump'],
  },
];

/** Major and minor version of the `go` on the path, like 1.26; 0 without one. */
function goVersion(): number {
  const { stdout } = spawnSync('go', ['env', 'GOVERSION'], {
    encoding: 'utf8',
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return Number(major) + Number(minor) / 100;
}

/** What Debian asks before it starts a service that it has installed (invoke-rc.d). */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

/** Runs an installation that starts no service: nothing of it listens afterwards. */
export function withoutServices(install: () => void): void {
  const own = !existsSync(SERVICE_POLICY);
  if (own) writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (own) rmSync(SERVICE_POLICY);
  }
}

/** Whether a program is there to be run. */
export function onPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isRunnable(join(folder, command)));
}

function isRunnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The line that brings what is missing on Debian; undefined when nothing is. */
export function installLine(needed: readonly Prerequisite[]): string | undefined {
  const packages = needed.filter((one) => !one.isThere()).flatMap((one) => one.packages);
  if (packages.length === 0) return undefined;
  const wanted = [...new Set(packages)].map((name) => (name.includes(' ') ? `'${name}'` : name));
  // `satisfy` installs nothing when a version is too old.
  return `apt-get update && apt-get satisfy -y --no-install-recommends ${wanted.join(' ')}`;
}

/** Installs what is missing as root on Debian; else throws an Error with the line that does it. */
export function ensurePrerequisites(needed: readonly Prerequisite[] = PREREQUISITES): void {
  const line = installLine(needed);
  if (line === undefined) return;
  const missing = needed.filter((one) => !one.isThere());
  const told = missing.map(({ name, why }) => `${name} (${why})`).join(', ');
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(`the tests need ${told}; install it:\n  ${line}${otherLines(missing)}`);
  }
  console.log(`installing ${told}:\n  ${line}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  withoutServices(() => spawnSync('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'], env }));
  const still = missing.filter((one) => !one.isThere());
  if (still.length > 0) {
    const names = still.map(({ name }) => name).join(', ');
    throw new Error(`${names} still missing after:\n  ${line}${otherLines(still)}`);
  }
}

function otherLines(missing: readonly Prerequisite[]): string {
  return missing
    .flatMap(({ otherwise }) => (otherwise === undefined ? [] : `\nor:\n  ${otherwise}`))
    .join('');
}
