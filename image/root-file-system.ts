import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The proxy's user and group, in every pod (docs/installation.md). */
export const PROXY_UID = 2102;

/** Where the bundle is; `/usr/bin/tulle` starts it. */
const BUNDLE = '/usr/lib/tulle';

/** What `tulle capture` runs, by the names it calls it by: one program looks at its own name. */
const IPTABLES_NAMES = ['iptables', 'ip6tables'].flatMap((name) =>
  ['', '-restore', '-save'].map((what) => `${name}-nft${what}`),
);

/**
 * Extensions of iptables: matches and targets for both families. All of them are 1 MB; which of them a rule needs
 * differs from one version of iptables to the next (REDIRECT is a link to NAT since 1.8.8).
 */
const EXTENSIONS = '/usr/lib/{*-linux-gnu*,}/xtables/libxt_*.so';

/** No shell is there to read the bundle's own first lines: the kernel reads this one (one argument is all it passes on). */
const STARTER = `#!/usr/bin/node --max-semi-space-size=8
require('${BUNDLE}/tulle.js');
`;

/** What seldom changes: Node, iptables, the libraries that they load. */
export function layRuntime(root: string, node: string): void {
  for (const folder of ['/etc', '/tmp', '/usr/bin', '/usr/sbin', '/proc', '/sys', '/dev'])
    mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  write(root, '/etc/passwd', `root:x:0:0::/:\ntulle:x:${PROXY_UID}:${PROXY_UID}::/:\n`);
  write(root, '/etc/group', `root:x:0:\ntulle:x:${PROXY_UID}:\n`);
  // Without it glibc asks DNS before /etc/hosts.
  write(root, '/etc/nsswitch.conf', 'hosts: files dns\n');
  // Symbols for a debugger are a quarter of Node.
  execFileSync('strip', ['--strip-all', '-o', join(root, '/usr/bin/node'), node]);
  const iptables = findProgram('xtables-nft-multi');
  const extensions = globSync(EXTENSIONS);
  if (extensions.length === 0) throw new Error(`iptables is there, but not its extensions (${EXTENSIONS})`);
  for (const file of extensions) copy(root, file, file);
  copy(root, iptables, '/usr/sbin/xtables-nft-multi');
  for (const name of IPTABLES_NAMES) symlinkSync('xtables-nft-multi', join(root, '/usr/sbin', name));
  for (const library of libraries([node, iptables, ...extensions]))
    copy(root, realpathSync(library), library);
}

/** What each version brings: the bundle of `npm run build`. */
export function layBundle(root: string, dist: string): void {
  mkdirSync(join(root, '/usr/bin'), { recursive: true });
  cpSync(dist, join(root, BUNDLE), {
    recursive: true,
    filter: (source) => basename(source) !== 'compile-cache',
  });
  write(root, '/usr/bin/tulle', STARTER);
  chmodSync(join(root, '/usr/bin/tulle'), 0o755);
}

function write(root: string, path: string, text: string): void {
  writeFileSync(join(root, path), text);
}

/** A link stays a link. */
function copy(root: string, from: string, to: string): void {
  const target = join(root, to);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  cpSync(from, target, { verbatimSymlinks: true });
}

function findProgram(name: string): string {
  const found = ['/usr/sbin', '/sbin', '/usr/bin'].map((folder) => join(folder, name)).find(existsSync);
  if (found === undefined) throw new Error(`${name} is not on this machine; install iptables (nft backend)`);
  return found;
}

/** The shared libraries that the files load, the loader among them, by the paths that they look for. */
function libraries(files: readonly string[]): string[] {
  const told = execFileSync('ldd', [...files], { encoding: 'utf8' });
  return [...new Set(told.match(/\/\S+\.so[.\d]*(?= \(0x)/g) ?? [])]
    .filter((path) => !path.includes('/xtables/'))
    .sort();
}
