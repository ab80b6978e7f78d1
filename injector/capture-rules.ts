import type { AddressBlock } from './address-blocks.ts';
import type { PortRange } from './port-ranges.ts';

/** What is captured in a pod, and what is left alone. */
export interface CaptureOptions {
  /** Where the proxy takes connections to the pod, on all of its addresses. */
  readonly inboundPort: number;
  /** Where it takes connections out of the pod, on 127.0.0.1 and ::1. */
  readonly outboundPort: number;
  /** The user whose connections are the proxy's own. */
  readonly proxyUid: number;
  readonly skipInboundPorts: readonly PortRange[];
  readonly skipOutboundPorts: readonly PortRange[];
  readonly skipOutboundBlocks: readonly AddressBlock[];
}

/** The proxy's other ports: admin on loopback, health on all addresses. */
const ADMIN_PORT = 4190;
const HEALTH_PORT = 4191;

const DNS_PORT = 53;

/** The rules of one table: `jumps` go first in chains of the kernel, `chains` are all our own. */
export interface TableRules {
  readonly table: 'mangle' | 'nat';
  readonly jumps: readonly string[];
  readonly chains: Readonly<Record<string, readonly string[]>>;
}

/**
 * The rules for one family of addresses, each as `iptables-save` shows it. Rules are tried in their order, and the
 * first that holds decides: what is left alone stands before what is redirected.
 */
export function captureRules(family: 4 | 6, options: CaptureOptions): TableRules[] {
  return [invalidRules(options), redirectRules(family, options)];
}

function redirectRules(family: 4 | 6, options: CaptureOptions): TableRules {
  const { inboundPort, outboundPort, proxyUid, skipOutboundPorts, skipOutboundBlocks } = options;
  const blocks = skipOutboundBlocks.filter((block) => block.family === family);
  return {
    table: 'nat',
    jumps: ['-A PREROUTING -p tcp -j TULLE_INBOUND', '-A OUTPUT -p tcp -j TULLE_OUTBOUND'],
    chains: {
      TULLE_INBOUND: [...leftAloneInbound(options), `-p tcp -j REDIRECT --to-ports ${inboundPort}`],
      TULLE_OUTBOUND: [
        `-m owner --uid-owner ${proxyUid} -j RETURN`,
        // 127.0.0.0/8, ::1 and the pod's own addresses: the kernel sends all of them through lo.
        '-o lo -j RETURN',
        toPort({ first: DNS_PORT, last: DNS_PORT }, 'RETURN'),
        ...skipOutboundPorts.map((range) => toPort(range, 'RETURN')),
        ...blocks.map(({ text, bits }) => (bits === 0 ? '-j RETURN' : `-d ${text} -j RETURN`)),
        `-p tcp -j REDIRECT --to-ports ${outboundPort}`,
      ],
    },
  };
}

/**
 * A packet that the kernel cannot match to its connection (out of the window, mostly) is not translated: it would
 * meet the application's port instead of the proxy's, which knows no such connection and resets it. Dropped, it is
 * sent again. The same the other way: it would leave from the proxy's port, and the client would reset.
 */
function invalidRules(options: CaptureOptions): TableRules {
  return {
    table: 'mangle',
    jumps: [
      '-A PREROUTING -p tcp -j TULLE_INVALID',
      `-A OUTPUT ! -o lo -p tcp -m tcp --sport ${options.inboundPort} -m conntrack --ctstate INVALID -j DROP`,
    ],
    chains: {
      TULLE_INVALID: [...leftAloneInbound(options), '-m conntrack --ctstate INVALID -j DROP'],
    },
  };
}

/** The proxy's own ports are not redirected: nobody gets at its loopback ports through itself. */
function leftAloneInbound({ inboundPort, outboundPort, skipInboundPorts }: CaptureOptions): string[] {
  const own = [inboundPort, outboundPort, ADMIN_PORT, HEALTH_PORT];
  return [
    '-i lo -j RETURN',
    ...own.map((port) => toPort({ first: port, last: port }, 'RETURN')),
    ...skipInboundPorts.map((range) => toPort(range, 'RETURN')),
  ];
}

function toPort({ first, last }: PortRange, target: string): string {
  return `-p tcp -m tcp --dport ${first === last ? first : `${first}:${last}`} -j ${target}`;
}

/** The lines of rules that `iptables-save` shows of a table. */
export function savedRules(saved: string, table: string): string[] {
  const lines = saved.split('\n').map((line) => line.trim());
  const begin = lines.indexOf(`*${table}`);
  if (begin < 0) return [];
  const end = lines.indexOf('COMMIT', begin);
  return lines.slice(begin, end < 0 ? undefined : end).filter((line) => line.startsWith('-A '));
}

/**
 * The input of `iptables-restore --noflush` that makes the rules so, whatever is there: naming a chain of our own
 * empties it, and a jump that is there is not written twice. Other rules stay. A table is changed as a whole or not
 * at all.
 */
export function restoreInput(rules: readonly TableRules[], saved: string): string {
  const tables = rules.map(({ table, jumps, chains }) => {
    const there = new Set(savedRules(saved, table));
    const names = Object.keys(chains);
    return [
      `*${table}`,
      ...names.map((name) => `:${name} - [0:0]`),
      ...jumps.filter((jump) => !there.has(jump)).map((jump) => jump.replace('-A ', '-I ')),
      ...names.flatMap((name) => chainLines(name, chains)),
      'COMMIT',
    ].join('\n');
  });
  return `${tables.join('\n')}\n`;
}

/** What is not as it should be, a sentence each; empty when the rules are in place and nothing else is in our chains. */
export function differences(rules: readonly TableRules[], saved: string): string[] {
  return rules.flatMap(({ table, jumps, chains }) => {
    const there = savedRules(saved, table);
    const missing = jumps
      .filter((jump) => !there.includes(jump))
      .map((jump) => `table ${table} has not "${jump}"`);
    const wrong = Object.keys(chains).flatMap((name) => {
      const wanted = chainLines(name, chains).join('\n');
      const found = there.filter((line) => line.startsWith(`-A ${name} `)).join('\n');
      return wanted === found ? [] : [`chain ${name} of table ${table} is\n${found}\nand not\n${wanted}`];
    });
    return [...missing, ...wrong];
  });
}

function chainLines(name: string, chains: TableRules['chains']): string[] {
  return (chains[name] ?? []).map((rule) => `-A ${name} ${rule}`);
}
