import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Addresses, Ranges } from './addresses.ts';
import { type Claim, identify, isRunning, type ProcessId, releaseSlot } from './claim.ts';
import { output } from './command.ts';

const CGROUPS = '/sys/fs/cgroup';
const ENDING_MS = 20_000;

/**
 * A node is a machine within this machine: namespaces of its own for processes, mounts, names and the network. The
 * kernel ends all that is in them with their first process; no rule, mount or setting of this machine's network is touched.
 */
export async function startNode(dir: string, programs: string): Promise<ProcessId> {
  const log = openSync(join(dir, 'log/node.log'), 'a');
  const own = ['--pid', '--mount', '--net', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];
  const unshare = spawn('unshare', [...own, join(programs, 'node-init')], {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  unshare.unref();
  return childOf(unshare);
}

/** Gives a node its folders, its link to this machine, and groups for its pods. */
export async function furnishNode(init: ProcessId, dir: string, addresses: Addresses): Promise<void> {
  await mountOwn(init, dir);
  await linkToMachine(init, addresses);
  makeCgroups(cgroupOf(addresses.slot));
}

/** What to put before a command so that it runs on the node. */
export function onNode(init: ProcessId): readonly string[] {
  return ['nsenter', '--target', `${init.pid}`, '--pid', '--mount', '--net', '--uts', '--ipc'];
}

/** The same for a command that looks at the node's network only: it stays a child, and can be sent signals. */
export function inNetworkOf(init: ProcessId): readonly string[] {
  return ['nsenter', '--target', `${init.pid}`, '--net'];
}

/** The pods' control groups, apart from those of another kubelet on this machine. */
export function cgroupOf(slot: number): string {
  return `tulle-kubernetes-${slot}`;
}

/** Ends all that a claim stands for, and removes its folder. Safe to run twice. */
export async function endNode(claim: Claim, addresses: Addresses): Promise<void> {
  const { init, dir, slot } = claim;
  if (init !== undefined && isRunning(init)) {
    process.kill(init.pid, 'SIGKILL');
    await untilGone('the processes of the node', () => !isRunning(init));
  }
  if (existsSync(`/sys/class/net/${addresses.link}`))
    await output('ip', 'link', 'del', addresses.link).catch(() => {});
  // The kernel takes namespaces apart in its own time.
  await untilGone('the link to the node', () => !existsSync(`/sys/class/net/${addresses.link}`));
  await untilGone('the control groups of the pods', () => removeCgroups(cgroupOf(slot)));
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  releaseSlot(slot);
}

async function childOf(unshare: ChildProcess): Promise<ProcessId> {
  const { pid } = unshare;
  for (;;) {
    if (pid === undefined || unshare.exitCode !== null) throw new Error('unshare failed: see log/node.log');
    const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
    // It is the child of unshare before it is node-init, and has its namespaces only then.
    const found = child > 0 ? identify(child) : undefined;
    if (found && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('node-init')) return found;
    await sleep(5);
  }
}

/** Folders that the kubelet, containerd and the network plugins have at fixed places. */
async function mountOwn(init: ProcessId, dir: string): Promise<void> {
  const own = { '/var/log': 'var-log', '/var/lib/kubelet': 'kubelet', '/var/lib/cni': 'cni-state' };
  const binds = Object.entries(own).map(([place, name]) => {
    const folder = join(dir, name);
    mkdirSync(folder, { recursive: true });
    return `mkdir -p ${place} && mount --bind '${folder}' ${place}`;
  });
  const script = [
    'mount --make-rshared /',
    ...binds,
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'hostname node',
  ];
  await output('nsenter', '--target', `${init.pid}`, '--mount', '--uts', 'sh', '-ec', script.join('\n'));
}

async function linkToMachine(init: ProcessId, { link, v4, v6 }: Addresses): Promise<void> {
  const toNode = ({ all, node, outside, linkBits }: Ranges) => [
    `ip addr add ${outside}/${linkBits} dev ${link} ${outside.includes(':') ? 'nodad' : ''}`,
    `ip route add ${all} via ${node} dev ${link}`,
  ];
  const fromNode = ({ node, outside, linkBits }: Ranges) => [
    `ip addr add ${node}/${linkBits} dev uplink ${outside.includes(':') ? 'nodad' : ''}`,
    `ip route add default via ${outside} dev uplink`,
  ];
  const machine = [
    `ip link add ${link} type veth peer name uplink netns ${init.pid}`,
    `echo 0 > /proc/sys/net/ipv6/conf/${link}/disable_ipv6`,
    `echo 0 > /proc/sys/net/ipv6/conf/${link}/accept_ra`,
    `ip link set ${link} up`,
  ];
  const node = [
    'sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0',
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
    'ip link set lo up',
    'ip link set uplink up',
  ];
  await output('sh', '-ec', machine.join('\n'));
  const inside = [...node, ...fromNode(v4), ...fromNode(v6)].join('\n');
  await output('nsenter', '--target', `${init.pid}`, '--net', '--mount', '--pid', 'sh', '-ec', inside);
  await output('sh', '-ec', [...toNode(v4), ...toNode(v6)].join('\n'));
}

/** The roots of this machine's control groups: one a controller (v1), or one for all (v2). */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return globSync(join(CGROUPS, '*/cgroup.procs')).map((file) => join(file, '..'));
}

function makeCgroups(name: string): void {
  for (const root of hierarchies()) mkdirSync(join(root, name), { recursive: true });
}

/** Whether none is left; those whose processes are still ending are tried again. */
function removeCgroups(name: string): boolean {
  const tops = hierarchies().map((root) => join(root, name));
  const all = tops
    .filter(existsSync)
    .flatMap((top) => [top, ...globSync('**/', { cwd: top }).map((one) => join(top, one))]);
  for (const folder of all.sort((a, b) => b.length - a.length)) {
    try {
      rmdirSync(folder);
    } catch {}
  }
  return !tops.some(existsSync);
}

async function untilGone(what: string, isGone: () => boolean): Promise<void> {
  const end = performance.now() + ENDING_MS;
  while (!isGone()) {
    if (performance.now() > end) throw new Error(`${what} did not go away`);
    await sleep(50);
  }
}
