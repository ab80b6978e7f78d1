import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  addAddress,
  ensureNamespaces,
  joinNamespaces,
  type NetworkNamespace,
  networkNamespace,
} from './fixture/network-namespace.ts';
import { temporaryDir } from './fixture/relay.ts';
import { type SocketAgent, socketAgent } from './fixture/socket-agents.ts';
import { until } from './fixture/wait.ts';

ensureNamespaces();

const PROXY_UID = 2102;
const APP_UID = 1000;
const CLI = join(import.meta.dirname, '..', 'cli', 'main.ts');

/** Addresses of the pod, of a neighbour that is its way to everywhere, and of places behind the neighbour. */
interface Family {
  readonly name: string;
  readonly pod: string;
  readonly neighbour: string;
  readonly clusterIp: string;
  readonly skipped: string;
  readonly loopback: string;
  readonly any: string;
}

const IPV4: Family = {
  name: 'IPv4',
  pod: '10.77.0.2',
  neighbour: '10.77.0.3',
  clusterIp: '10.96.0.10',
  skipped: '192.0.2.7',
  loopback: '127.0.0.1',
  any: '0.0.0.0',
};
const IPV6: Family = {
  name: 'IPv6',
  pod: 'fd77::2',
  neighbour: 'fd77::3',
  clusterIp: 'fd96::10',
  skipped: '2001:db8::7',
  loopback: '::1',
  any: '::',
};

interface Place {
  readonly pod: NetworkNamespace;
  readonly outside: NetworkNamespace;
  readonly app: SocketAgent;
  readonly proxy: SocketAgent;
  readonly neighbour: SocketAgent;
}

/** `tulle capture` in the pod, as its init container runs it. */
function capture(pod: NetworkNamespace, ...flags: string[]): Promise<string> {
  return pod.run(process.execPath, CLI, 'capture', ...flags);
}

/** A pod with an application and a proxy, and a neighbour; nothing is captured yet. */
async function place(context: TestContext): Promise<Place> {
  const [pod, outside] = [await networkNamespace(context), await networkNamespace(context)];
  await joinNamespaces(pod, outside, {
    a: [`${IPV4.pod}/24`, `${IPV6.pod}/64`],
    b: [`${IPV4.neighbour}/24`, `${IPV6.neighbour}/64`],
  });
  for (const [{ neighbour, clusterIp, skipped }, length] of [
    [IPV4, 32],
    [IPV6, 128],
  ] as const) {
    await pod.run('ip', 'route', 'add', 'default', 'via', neighbour);
    for (const address of [clusterIp, skipped]) await addAddress(outside, `${address}/${length}`, 'lo');
  }
  return {
    pod,
    outside,
    app: socketAgent(context, pod, 'app', APP_UID),
    proxy: socketAgent(context, pod, 'proxy', PROXY_UID),
    neighbour: socketAgent(context, outside, 'neighbour', 0),
  };
}

/** The same with its rules set and all listening: the application at 8080 and 8081, the neighbour at 80, 53 and 9000. */
async function captured(context: TestContext, ...flags: string[]): Promise<Place> {
  const made = await place(context);
  const { pod, app, proxy, neighbour } = made;
  await capture(pod, ...flags);
  await proxy.listen('::', 4143, { original: true });
  await proxy.listen('127.0.0.1', 4140, { original: true });
  await proxy.listen('::1', 4140, { original: true });
  for (const port of [8080, 8081]) await app.listen('::', port);
  for (const port of [80, 53, 9000]) await neighbour.listen('::', port);
  return made;
}

function at(host: string, port: number): string {
  return `${host}:${port}`;
}

test('a call out of the pod reaches the proxy, which is told where it was going', async (context) => {
  const { app } = await captured(context);
  for (const { clusterIp, neighbour } of [IPV4, IPV6]) {
    assert.equal(await app.call(clusterIp, 80), `proxy was given ${at(clusterIp, 80)}`);
    assert.equal(await app.call(neighbour, 9000), `proxy was given ${at(neighbour, 9000)}`);
    assert.equal(await app.call(clusterIp, 1), `proxy was given ${at(clusterIp, 1)}`, 'nobody listens there');
  }
});

test('a call to the pod reaches the proxy, which is told the port that was meant', async (context) => {
  const { neighbour } = await captured(context);
  for (const { pod } of [IPV4, IPV6]) {
    assert.equal(await neighbour.call(pod, 8080), `proxy was given ${at(pod, 8080)}`);
    assert.equal(await neighbour.call(pod, 22), `proxy was given ${at(pod, 22)}`, 'nobody listens there');
  }
});

test('a neighbour on the same link cannot call past the proxy by a link-local address', async (context) => {
  const { pod, outside, neighbour } = await captured(context);
  await addAddress(pod, 'fe80::77/64', 'eth0');
  await addAddress(outside, 'fe80::78/64', 'eth0');
  assert.equal(await neighbour.call('fe80::77%eth0', 8080), 'proxy was given fe80::77%eth0:8080');
});

test("the proxy's own calls go where they are going: outside, to the application, to itself", async (context) => {
  const { proxy } = await captured(context);
  for (const { pod, clusterIp } of [IPV4, IPV6]) {
    assert.equal(await proxy.call(clusterIp, 80), `neighbour took ${at(clusterIp, 80)}`);
    assert.equal(await proxy.call(pod, 8080), `app took ${at(pod, 8080)}`);
  }
});

test('a pod that calls itself on localhost or by its own address is not captured: nothing runs in a circle', async (context) => {
  const { app } = await captured(context);
  for (const { pod, loopback } of [IPV4, IPV6]) {
    assert.equal(await app.call(loopback, 8080), `app took ${at(loopback, 8080)}`);
    assert.equal(await app.call(pod, 8080), `app took ${at(pod, 8080)}`);
  }
  assert.equal(await app.call('127.9.9.9', 8080), 'app took 127.9.9.9:8080');
});

test('DNS over TCP is left alone', async (context) => {
  const { app } = await captured(context);
  for (const { clusterIp } of [IPV4, IPV6]) {
    assert.equal(await app.call(clusterIp, 53), `neighbour took ${at(clusterIp, 53)}`);
  }
});

test('what the skip lists name is left alone, in both directions, and what stands beside it is not', async (context) => {
  const { app, neighbour } = await captured(
    context,
    '--skip-inbound-ports',
    '1-3,8081',
    '--skip-outbound-ports',
    '8999-9001',
    '--skip-outbound-cidrs',
    '192.0.2.0/24,2001:db8::7',
  );
  for (const { pod, clusterIp, skipped } of [IPV4, IPV6]) {
    assert.equal(await neighbour.call(pod, 8081), `app took ${at(pod, 8081)}`);
    assert.equal(await neighbour.call(pod, 8080), `proxy was given ${at(pod, 8080)}`);
    assert.equal(await app.call(clusterIp, 9000), `neighbour took ${at(clusterIp, 9000)}`);
    assert.equal(await app.call(clusterIp, 80), `proxy was given ${at(clusterIp, 80)}`);
    assert.equal(await app.call(skipped, 80), `neighbour took ${at(skipped, 80)}`);
  }
});

test("a stranger who calls the proxy's own ports gets what listens there on that address, and no way to its loopback", async (context) => {
  const { neighbour, proxy } = await captured(context);
  await proxy.listen('127.0.0.1', 4190);
  await proxy.listen('::', 4191);
  for (const { pod } of [IPV4, IPV6]) {
    // Nothing was redirected: the destination is the listener itself.
    assert.equal(await neighbour.call(pod, 4143), `proxy was given ${at(pod, 4143)}`);
    assert.equal(await neighbour.call(pod, 4190), 'ECONNREFUSED');
    assert.equal(await neighbour.call(pod, 4140), 'ECONNREFUSED');
    assert.equal(await neighbour.call(pod, 4191), `proxy took ${at(pod, 4191)}`);
  }
});

test('while no proxy runs, calls in and out are refused: nothing goes past it in plain text', async (context) => {
  const { pod, app, neighbour } = await place(context);
  await app.listen('::', 8080);
  await neighbour.listen('::', 80);
  assert.equal(await neighbour.call(IPV4.pod, 8080), 'app took 10.77.0.2:8080');
  await capture(pod);
  for (const family of [IPV4, IPV6]) {
    assert.equal(await neighbour.call(family.pod, 8080), 'ECONNREFUSED');
    assert.equal(await app.call(family.clusterIp, 80), 'ECONNREFUSED');
  }
});

for (const [backend, path] of [
  ['nft', undefined],
  ['legacy', 'nft'],
] as const) {
  test(`run again it changes nothing; with other flags its rules are those alone, and others' stay: ${backend}`, async (context) => {
    const { pod } = await place(context);
    const hidden = path === undefined ? [] : [`PATH=${onlyLegacy(context)}`];
    const tulle = (...flags: string[]) =>
      pod.run('env', ...hidden, process.execPath, CLI, 'capture', ...flags);
    const rules = async () =>
      (await Promise.all(['ip', 'ip6'].map((ip) => pod.run(`${ip}tables-${backend}-save`))))
        .join('')
        .replace(/^#.*\n|\[\d+:\d+\]/gm, '');
    await pod.run(
      `iptables-${backend}`,
      '-t',
      'nat',
      '-A',
      'OUTPUT',
      '-p',
      'udp',
      '--dport',
      '9',
      '-j',
      'RETURN',
    );
    assert.match(
      await tulle(),
      new RegExp(`^IPv4: rules set \\(iptables-${backend}\\).*\nIPv6: rules set \\(ip6tables-${backend}\\)`),
    );
    const first = await rules();
    assert.match(await tulle(), /^IPv4: rules were in place .*\nIPv6: rules were in place /);
    assert.equal(await rules(), first);
    await tulle('--skip-inbound-ports', '7777');
    const other = await rules();
    assert.deepEqual(
      other.split('\n').filter((line) => !line.includes('7777')),
      first.split('\n'),
    );
    assert.match(other, /-A OUTPUT -p udp -m udp --dport 9 -j RETURN/);
    await tulle();
    assert.equal(await rules(), first);
  });
}

/** A folder of programs in which iptables has its legacy backend alone. */
function onlyLegacy(context: TestContext): string {
  const folder = temporaryDir(context);
  for (const name of ['ip', 'ip6'].flatMap((ip) => [
    `${ip}tables-legacy-save`,
    `${ip}tables-legacy-restore`,
  ])) {
    symlinkSync(`/usr/sbin/${name}`, join(folder, name));
  }
  return folder;
}

test('rules that somebody emptied are told by their difference and set again', async (context) => {
  const { pod } = await place(context);
  await capture(pod);
  const rules = await pod.run('iptables-nft-save', '-t', 'nat');
  await pod.run('iptables-nft', '-t', 'nat', '-F', 'TULLE_OUTBOUND');
  await pod.run('iptables-nft', '-t', 'nat', '-F', 'PREROUTING');
  assert.match(await capture(pod), /^IPv4: rules set /);
  const plain = (text: string) => text.replace(/^#.*\n|\[\d+:\d+\]/gm, '');
  assert.equal(plain(await pod.run('iptables-nft-save', '-t', 'nat')), plain(rules));
});

test('without NET_ADMIN it ends with the capability that is missing, and no rule is there', async (context) => {
  const { pod } = await place(context);
  const without = ['setpriv', '--bounding-set', '-net_admin', process.execPath, CLI, 'capture'];
  const { code, err } = await pod.attempt(...without);
  assert.equal(code, 1);
  assert.match(err, /^tulle: IPv4 cannot be captured: .* needs root and the capability NET_ADMIN/);
  assert.doesNotMatch(await pod.run('iptables-nft-save'), /TULLE/);
});

test('a dry run prints the rules and sets none', async (context) => {
  const { pod } = await place(context);
  const printed = await capture(pod, '--dry-run');
  assert.match(
    printed,
    /^# iptables-restore --noflush\n\*mangle\n[^#]*-A TULLE_OUTBOUND -m owner --uid-owner 2102 -j RETURN\n/,
  );
  assert.match(printed, /\n# ip6tables-restore --noflush\n/);
  assert.doesNotMatch(await pod.run('iptables-nft-save'), /TULLE/);
});

test('a pod whose kernel has no IPv6 is captured by IPv4 alone', async (context) => {
  const pod = await networkNamespace(context);
  await pod.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
  assert.match(await capture(pod), /^IPv4: rules set .*\nIPv6: the pod has none\n$/);
});

/** How many segments with RST the network sent. */
async function resets(namespace: NetworkNamespace): Promise<number> {
  const [names = '', values = ''] = (await namespace.run('cat', '/proc/net/snmp'))
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('OutRsts')]);
}

test('a segment that no window holds is dropped; without that rule the pod resets the connection it came on', async (context) => {
  const { pod, neighbour } = await captured(context);
  const dropped = async () =>
    Number(/\[(\d+):\d+\] -A TULLE_INVALID -m conntrack/.exec(await pod.run('iptables-nft-save', '-c'))?.[1]);
  await neighbour.strayTo(IPV4.pod, 8080);
  await until('the segment to be dropped', async () => (await dropped()) > 0);
  assert.equal(await resets(pod), 0);
  await pod.run('iptables-nft', '-t', 'mangle', '-F', 'TULLE_INVALID');
  await neighbour.strayTo(IPV4.pod, 8080);
  await until('a reset', async () => (await resets(pod)) > 0);
});
