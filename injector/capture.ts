import { type CaptureOptions, captureRules, differences, restoreInput } from './capture-rules.ts';

/** What a program that ran to its end said; `missing`: there is no such program. */
export interface Ran {
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
  readonly missing: boolean;
}

/** Runs a program with a text as its standard input. */
export type Run = (command: string, args: readonly string[], input: string) => Ran;

/** What of a pod decides whether its IPv6 is captured: the text of /proc/net/if_inet6, '' without the file. */
export interface Pod {
  readonly ipv6Addresses: string;
}

const BACKENDS = ['nft', 'legacy'] as const;
const LINK_LOCAL = '20';
const FORBIDDEN = /permission denied|not permitted|you must be root/i;

/**
 * Redirects the pod's connections to its proxy, in the network namespace of this process. It can be run again: the
 * rules are the same afterwards. Returns sentences for people. Throws an Error that says what is missing when the
 * rules could not be set, or are not in place afterwards: a pod must not run outside the mesh unnoticed.
 */
export function capture(options: CaptureOptions, pod: Pod, run: Run): string[] {
  return [captureFamily(4, options, run), captureIpv6(options, pod, run)];
}

/** Without an address now it may get one later, by a router's word: IPv6 is captured wherever there is any. */
function captureIpv6(options: CaptureOptions, pod: Pod, run: Run): string {
  if (pod.ipv6Addresses.trim() === '') return 'IPv6: the pod has none';
  try {
    return captureFamily(6, options, run);
  } catch (error) {
    // With an address that others reach it by, it would be called past the proxy.
    if (hasIpv6(pod.ipv6Addresses)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return `IPv6: left as it is, since the pod has no address but link-local ones; ${why}`;
  }
}

/** Whether there is an address beside those of lo and link-local ones (/proc/net/if_inet6: the fourth field, 20). */
function hasIpv6(addresses: string): boolean {
  const lines = addresses.trim().split('\n');
  return lines.some((line) => {
    const [, , , scope, , name] = line.trim().split(/\s+/);
    return name !== 'lo' && scope !== LINK_LOCAL;
  });
}

/** The first backend that can do it does. */
function captureFamily(family: 4 | 6, options: CaptureOptions, run: Run): string {
  const problems: string[] = [];
  for (const backend of BACKENDS) {
    const result = captureBy(`${family === 4 ? 'ip' : 'ip6'}tables-${backend}`, family, options, run);
    if (result.done !== undefined) {
      return [`IPv${family}: ${result.done}`, ...problems].join('; before that ');
    }
    problems.push(result.problem);
    // What may not do it by one may not by the other.
    if (FORBIDDEN.test(result.problem)) break;
  }
  throw new Error(`IPv${family} cannot be captured: ${problems.join('; ')}`);
}

type Result =
  | { readonly done: string; readonly problem?: undefined }
  | { readonly done?: undefined; readonly problem: string };

function captureBy(program: string, family: 4 | 6, options: CaptureOptions, run: Run): Result {
  const rules = captureRules(family, options);
  const save = () => run(`${program}-save`, [], '');
  const before = save();
  if (!before.ok) return { problem: remedy(`${program}-save`, before) };
  if (differences(rules, before.out).length === 0) return { done: `rules were in place (${program})` };
  const restored = run(`${program}-restore`, ['--noflush', '-w'], restoreInput(rules, before.out));
  if (!restored.ok) return { problem: remedy(`${program}-restore`, restored) };
  const after = save();
  if (!after.ok) return { problem: remedy(`${program}-save`, after) };
  const wrong = differences(rules, after.out);
  if (wrong.length > 0) return { problem: `after ${program}-restore ${wrong.join('; ')}` };
  return { done: `rules set (${program})` };
}

/** What a program said, and what it takes. */
function remedy(program: string, { err, missing }: Ran): string {
  if (missing)
    return `${program} is not there: it comes with Debian's package iptables, and with Tulle's image`;
  const said = err.trim().replace(/\s*\n\s*/g, ' ');
  return `${program}: ${said === '' ? 'failed without a word' : said}${hint(said)}`;
}

function hint(said: string): string {
  if (/lock file/i.test(said)) {
    return ' (it needs root and a writable /run; iptables with the nft backend needs no lock)';
  }
  if (FORBIDDEN.test(said)) {
    return ' (the container needs root and the capability NET_ADMIN: securityContext with runAsUser 0 and capabilities.add NET_ADMIN)';
  }
  if (
    /table does not exist|can't initialize|unable to initialize|no such file|not supported|unknown option|load (match|target)|RULE_(APPEND|INSERT) failed|CHAIN_ADD failed/i.test(
      said,
    )
  ) {
    return " (the node's kernel lacks a module: modprobe nft_chain_nat xt_REDIRECT xt_owner xt_conntrack xt_tcpudp on the node; for the legacy backend also iptable_nat iptable_mangle, ip6table_nat ip6table_mangle)";
  }
  return '';
}
