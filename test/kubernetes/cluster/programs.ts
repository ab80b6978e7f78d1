import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MARK } from '../../leftovers.ts';

const MODULES = join(import.meta.dirname, 'programs');
/** For one program; all of them take about four minutes on two cores. */
const BUILD_LIMIT_MS = 900_000;

const VERSION = requiredVersion('kubernetes', 'k8s.io/kubernetes');

/** What the cluster runs, and what its user needs: module below programs/, and package. */
const PROGRAMS = {
  'kube-apiserver': ['kubernetes', 'k8s.io/kubernetes/cmd/kube-apiserver'],
  'kube-controller-manager': ['kubernetes', 'k8s.io/kubernetes/cmd/kube-controller-manager'],
  'kube-scheduler': ['kubernetes', 'k8s.io/kubernetes/cmd/kube-scheduler'],
  kubelet: ['kubernetes', 'k8s.io/kubernetes/cmd/kubelet'],
  'kube-proxy': ['kubernetes', 'k8s.io/kubernetes/cmd/kube-proxy'],
  kubectl: ['kubernetes', 'k8s.io/kubernetes/cmd/kubectl'],
  etcd: ['etcd', 'go.etcd.io/etcd/server/v3'],
  coredns: ['coredns', 'github.com/coredns/coredns'],
  helm: ['helm', 'helm.sh/helm/v3/cmd/helm'],
  'node-init': ['node-init', '.'],
} as const;

/**
 * Builds the programs that are not there yet, into `~/.cache/kube-VERSION` (or $KUBE_BIN), and returns that folder.
 * Throws an Error with the compiler's words.
 */
export function clusterPrograms(log: (line: string) => void): string {
  const folder =
    process.env.KUBE_BIN ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), `kube-${VERSION}`);
  mkdirSync(folder, { recursive: true });
  for (const [name, [module, goPackage]] of Object.entries(PROGRAMS)) {
    if (existsSync(join(folder, name))) continue;
    const startMs = performance.now();
    build(join(folder, name), module, goPackage);
    log(`built ${name} in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  }
  return folder;
}

function build(out: string, module: string, goPackage: string): void {
  const [major = '', minor = ''] = VERSION.split('.');
  const version = 'k8s.io/component-base/version';
  const flags = `-s -w -X ${version}.gitVersion=v${VERSION} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`;
  // Another name until it is whole: a build that is cut short, or a second one, leaves nothing half.
  const building = `${out}.${process.pid}`;
  const { [MARK]: _mark, ...env } = process.env; // go may leave a process that counts its use for a while
  const { status, stderr } = spawnSync(
    'go',
    ['build', '-mod=readonly', '-trimpath', '-ldflags', flags, '-o', building, goPackage],
    {
      cwd: join(MODULES, module),
      env: { ...env, CGO_ENABLED: '0' },
      encoding: 'utf8',
      timeout: BUILD_LIMIT_MS,
    },
  );
  if (status !== 0) throw new Error(`go build of ${goPackage} failed: ${stderr}`);
  renameSync(building, out);
}

function requiredVersion(module: string, name: string): string {
  const text = readFileSync(join(MODULES, module, 'go.mod'), 'utf8');
  const found = new RegExp(`^(?:require|\\t)\\s*${name} v(\\S+)`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`${module}/go.mod does not require ${name}`);
  return found;
}
