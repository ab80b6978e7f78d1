import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capture, type Ran, type Run } from './capture.ts';
import type { CaptureOptions } from './capture-rules.ts';

const OPTIONS: CaptureOptions = {
  inboundPort: 4143,
  outboundPort: 4140,
  proxyUid: 2102,
  skipInboundPorts: [],
  skipOutboundPorts: [],
  skipOutboundBlocks: [],
};

const LO = '00000000000000000000000000000001 01 80 10 80       lo\n';
const LINK_LOCAL = `${LO}fe800000000000000000000000000001 02 40 20 80     eth0\n`;
const GLOBAL = `${LINK_LOCAL}fd000000000000000000000000000002 02 40 00 80     eth0\n`;

const ok = (out = ''): Ran => ({ ok: true, out, err: '', missing: false });
const failed = (err: string): Ran => ({ ok: false, out: '', err, missing: false });
const MISSING: Ran = { ok: false, out: '', err: '', missing: true };

/** A kernel that takes rules by each backend that `broken` does not name. */
function kernel(broken: Readonly<Record<string, Ran>> = {}): { run: Run; commands: string[] } {
  const kept = new Map<string, string>();
  const commands: string[] = [];
  const run: Run = (command, _args, input) => {
    commands.push(command);
    const answer = broken[command];
    if (answer !== undefined) return answer;
    const backend = command.replace(/-(save|restore)$/, '');
    if (command.endsWith('-save')) return ok(kept.get(backend));
    kept.set(backend, input.replaceAll('-I ', '-A '));
    return ok();
  };
  return { run, commands };
}

test('rules of both families are set and looked at afterwards', () => {
  const { run, commands } = kernel();
  assert.deepEqual(capture(OPTIONS, { ipv6Addresses: GLOBAL }, run), [
    'IPv4: rules set (iptables-nft)',
    'IPv6: rules set (ip6tables-nft)',
  ]);
  assert.deepEqual(commands.slice(0, 3), ['iptables-nft-save', 'iptables-nft-restore', 'iptables-nft-save']);
});

test('rules that are in place are left as they are', () => {
  const { run, commands } = kernel();
  capture(OPTIONS, { ipv6Addresses: '' }, run);
  commands.length = 0;
  assert.match(capture(OPTIONS, { ipv6Addresses: '' }, run)[0] ?? '', /were in place/);
  assert.deepEqual(commands, ['iptables-nft-save']);
});

test('where nft is not there the legacy backend does it, and it is told why', () => {
  const { run } = kernel({ 'iptables-nft-save': MISSING });
  assert.match(
    capture(OPTIONS, { ipv6Addresses: '' }, run)[0] ?? '',
    /^IPv4: rules set \(iptables-legacy\); before that iptables-nft-save is not there/,
  );
});

test('rules that are accepted and not in place afterwards are an error: the pod does not start outside the mesh', () => {
  const { run } = kernel({ 'iptables-nft-restore': ok(), 'iptables-legacy-save': MISSING });
  assert.throws(
    () => capture(OPTIONS, { ipv6Addresses: '' }, run),
    /after iptables-nft-restore table mangle has not "-A PREROUTING -p tcp -j TULLE_INVALID"/,
  );
});

test('without the capability it is named, and the other backend is not tried', () => {
  const { run, commands } = kernel({ 'iptables-nft-save': failed('Permission denied (you must be root)') });
  assert.throws(
    () => capture(OPTIONS, { ipv6Addresses: '' }, run),
    /needs root and the capability NET_ADMIN/,
  );
  assert.deepEqual(commands, ['iptables-nft-save']);
});

test("a kernel's missing module is named", () => {
  const { run } = kernel({
    'iptables-nft-restore': failed(
      'RULE_APPEND failed (No such file or directory): rule in chain TULLE_OUTBOUND',
    ),
    'iptables-legacy-save': failed("can't initialize iptables table `nat': Table does not exist"),
  });
  assert.throws(
    () => capture(OPTIONS, { ipv6Addresses: '' }, run),
    /iptables-nft-restore: RULE_APPEND failed .* modprobe .*xt_owner.*; iptables-legacy-save: can't initialize/,
  );
});

const NO_IPV6_NAT = { 'ip6tables-nft-restore': failed('not supported'), 'ip6tables-legacy-save': MISSING };

test('a pod without IPv6 is captured by IPv4', () => {
  assert.equal(capture(OPTIONS, { ipv6Addresses: '' }, kernel(NO_IPV6_NAT).run)[1], 'IPv6: the pod has none');
});

for (const ipv6Addresses of [LO, LINK_LOCAL]) {
  test('without a kernel that can, a pod that has no IPv6 address of its own is told about', () => {
    const [, told = ''] = capture(OPTIONS, { ipv6Addresses }, kernel(NO_IPV6_NAT).run);
    assert.match(
      told,
      /^IPv6: left as it is, since the pod has no address but link-local ones; .*not supported/,
    );
  });
}

test('without a kernel that can, a pod that has one does not start: it would be called past the proxy', () => {
  assert.throws(
    () => capture(OPTIONS, { ipv6Addresses: GLOBAL }, kernel(NO_IPV6_NAT).run),
    /^Error: IPv6 cannot be captured: ip6tables-nft-restore: not supported/,
  );
});
