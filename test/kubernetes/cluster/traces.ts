import { existsSync, globSync, readFileSync } from 'node:fs';
import type { Addresses } from './addresses.ts';
import { claims } from './claim.ts';
import { output } from './command.ts';
import { cgroupOf } from './node.ts';

/** What a cluster that has ended left on this machine, a line each: processes, mounts, links, routes, rules, groups. */
export async function tracesOf(dir: string, addresses: Addresses): Promise<string[]> {
  const { slot, link, v4, v6 } = addresses;
  const ours = [link, `${v4.all.split('.').slice(0, 2).join('.')}.`, v6.all.slice(0, v6.all.indexOf('00::'))];
  const named = (text: string) => text.split('\n').filter((line) => ours.some((name) => line.includes(name)));
  const traces: string[] = [];
  const add = (kind: string, found: readonly string[]) =>
    traces.push(...found.map((one) => `${kind}: ${one}`));
  add('process', processesOf(dir));
  add(
    'mount',
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir)),
  );
  add('link', named(await output('ip', '-oneline', 'link')));
  add('address', named(await output('ip', '-oneline', 'address')));
  add('route', named((await output('ip', '-4', 'route')) + (await output('ip', '-6', 'route'))));
  for (const save of ['iptables-save', 'ip6tables-save']) add('rule', named(await output(save)));
  add('control group', globSync(`/sys/fs/cgroup/{*/,}${cgroupOf(slot)}`));
  if (existsSync(dir)) add('folder', [dir]);
  add(
    'claim',
    claims()
      .filter((claim) => claim.dir === dir)
      .map((claim) => `slot ${claim.slot}`),
  );
  return traces;
}

/** Processes whose command line names a folder. */
function processesOf(dir: string): string[] {
  return globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
    try {
      const command = readFileSync(file, 'utf8').replaceAll('\0', ' ').trim();
      return command.includes(dir) ? [`${file.split('/')[2]} ${command}`] : [];
    } catch {
      return []; // It ended while we looked.
    }
  });
}
