import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddressBlocks } from './address-blocks.ts';
import { type CaptureOptions, captureRules, differences, restoreInput, savedRules } from './capture-rules.ts';
import { parsePortRanges } from './port-ranges.ts';

const OPTIONS: CaptureOptions = {
  inboundPort: 4143,
  outboundPort: 4140,
  proxyUid: 2102,
  skipInboundPorts: parsePortRanges('p', '22,9000-9010'),
  skipOutboundPorts: parsePortRanges('p', '25'),
  skipOutboundBlocks: parseAddressBlocks('c', '192.0.2.0/24,fd00::/8'),
};

/** What `iptables-save` shows once the input was taken. */
function saved(input: string): string {
  return input.replaceAll('-I ', '-A ').replaceAll(' - [0:0]', ' - [12:720]');
}

function nat(family: 4 | 6, options = OPTIONS) {
  const found = captureRules(family, options).find(({ table }) => table === 'nat');
  assert.ok(found !== undefined);
  return found;
}

test('what is left alone stands before what is redirected', () => {
  assert.deepEqual(nat(4).chains, {
    TULLE_INBOUND: [
      '-i lo -j RETURN',
      '-p tcp -m tcp --dport 4143 -j RETURN',
      '-p tcp -m tcp --dport 4140 -j RETURN',
      '-p tcp -m tcp --dport 4190 -j RETURN',
      '-p tcp -m tcp --dport 4191 -j RETURN',
      '-p tcp -m tcp --dport 22 -j RETURN',
      '-p tcp -m tcp --dport 9000:9010 -j RETURN',
      '-p tcp -j REDIRECT --to-ports 4143',
    ],
    TULLE_OUTBOUND: [
      '-m owner --uid-owner 2102 -j RETURN',
      '-o lo -j RETURN',
      '-p tcp -m tcp --dport 53 -j RETURN',
      '-p tcp -m tcp --dport 25 -j RETURN',
      '-d 192.0.2.0/24 -j RETURN',
      '-p tcp -j REDIRECT --to-ports 4140',
    ],
  });
});

test('each family has the blocks of its own; a block of all addresses needs no condition', () => {
  const options = { ...OPTIONS, skipOutboundBlocks: parseAddressBlocks('c', '0.0.0.0/0,fd00::/8') };
  assert.ok(nat(4, options).chains.TULLE_OUTBOUND?.includes('-j RETURN'));
  assert.ok(!nat(4, options).chains.TULLE_OUTBOUND?.some((rule) => rule.includes('fd00')));
  assert.ok(nat(6, options).chains.TULLE_OUTBOUND?.includes('-d fd00::/8 -j RETURN'));
});

test('packets that belong to no connection are dropped where they would be redirected, and nowhere else', () => {
  const [mangle] = captureRules(4, OPTIONS);
  assert.deepEqual(mangle?.chains.TULLE_INVALID, [
    ...(nat(4).chains.TULLE_INBOUND ?? []).slice(0, -1),
    '-m conntrack --ctstate INVALID -j DROP',
  ]);
});

test('in an empty namespace our chains are made and our jumps go first', () => {
  const input = restoreInput(captureRules(4, OPTIONS), '');
  assert.match(
    input,
    /\*nat\n:TULLE_INBOUND - \[0:0\]\n:TULLE_OUTBOUND - \[0:0\]\n-I PREROUTING -p tcp -j TULLE_INBOUND\n/,
  );
  assert.match(input, /REDIRECT --to-ports 4140\nCOMMIT\n$/);
});

test('after they were set nothing differs, and setting them again writes no jump twice', () => {
  const rules = captureRules(4, OPTIONS);
  const once = saved(restoreInput(rules, ''));
  assert.deepEqual(differences(rules, once), []);
  assert.doesNotMatch(restoreInput(rules, once), /-[AI] (PREROUTING|OUTPUT)/);
});

for (const [name, change, told] of [
  [
    'a jump that is gone',
    /-A OUTPUT -p tcp -j TULLE_OUTBOUND\n/,
    /^table nat has not "-A OUTPUT -p tcp -j TULLE_OUTBOUND"$/,
  ],
  [
    'a rule that is gone',
    /-A TULLE_OUTBOUND -m owner.*\n/,
    /^chain TULLE_OUTBOUND of table nat is\n-A TULLE_OUTBOUND -o lo/,
  ],
] as const) {
  test(`${name} is told`, () => {
    const rules = captureRules(4, OPTIONS);
    const [first, ...rest] = differences(rules, saved(restoreInput(rules, '')).replace(change, ''));
    assert.match(first ?? '', told);
    assert.deepEqual(rest, []);
  });
}

test('a rule slipped in before ours, that lets everything past the proxy, is told', () => {
  const rules = captureRules(4, OPTIONS);
  const slipped = saved(restoreInput(rules, '')).replace(
    '-A TULLE_OUTBOUND',
    '-A TULLE_OUTBOUND -j RETURN\n$&',
  );
  assert.equal(differences(rules, slipped).length, 1);
});

test('rules are read from their own table', () => {
  const text =
    '*mangle\n-A OUTPUT -j ACCEPT\nCOMMIT\n*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j DROP\nCOMMIT\n';
  assert.deepEqual(savedRules(text, 'nat'), ['-A OUTPUT -j DROP']);
  assert.deepEqual(savedRules(text, 'filter'), []);
});
