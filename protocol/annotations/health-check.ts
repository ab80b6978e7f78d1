import { parseDuration } from '../duration.ts';
import { showValue } from '../problem.ts';
import type { HealthCheck } from '../traffic-policy.ts';
import type { Parsed, Wrong } from './parsed.ts';

const SHORTEST_MS = 1_000;
const USUAL_TIMEOUT_MS = 1_000;
const MEANT =
  'write grpc, grpc SERVICE, http PATH or tcp, and how often, like "grpc every 10s" or "http /healthz every 10s timeout 2s", or off';

/** Visible ASCII without a fragment. */
const PATH = /^\/[\x21\x22\x24-\x7e]*$/;
const GRPC_SERVICE = /^[\w.\-/]{1,200}$/;

/** `grpc every 10s`, `grpc my.Service every 10s`, `http /healthz every 10s timeout 2s`, `tcp every 5s`, `off`. */
export function parseHealthCheck(text: string): Parsed {
  const words = text.trim().split(/\s+/);
  if (words.length === 1 && words[0] === 'off') return { unset: 'healthCheck' };
  const every = words.indexOf('every');
  if (every < 0) return { wrong: 'is not a health check', meant: MEANT };
  const what = readTarget(words.slice(0, every));
  return 'wrong' in what ? what : withTimes(what, words.slice(every));
}

type Target = Pick<HealthCheck, 'kind' | 'target'>;

function readTarget([kind, target, ...rest]: readonly string[]): Target | Wrong {
  if (rest.length === 0) {
    if (kind === 'tcp' && target === undefined) return { kind, target: '' };
    if (kind === 'grpc' && (target === undefined || GRPC_SERVICE.test(target)))
      return { kind, target: target ?? '' };
    if (kind === 'http' && PATH.test(target ?? '')) return { kind, target: target ?? '' };
  }
  return { wrong: `is not a health check: ${problemOf(kind, target, rest)}`, meant: MEANT };
}

function problemOf(kind: string | undefined, target: string | undefined, rest: readonly string[]): string {
  if (kind !== 'grpc' && kind !== 'http' && kind !== 'tcp')
    return `${showValue(kind ?? '')} is no way to check`;
  if (rest.length > 0) return `${showValue(rest[0])} is one word too many`;
  if (kind === 'tcp') return `tcp asks for nothing, not for ${showValue(target)}`;
  if (kind === 'grpc') return `${showValue(target)} is no name of a gRPC service`;
  return target === undefined ? 'http needs a path' : `${showValue(target)} is no path`;
}

function withTimes(
  what: Target,
  [, every = '', timeoutWord, timeout = '', ...rest]: readonly string[],
): Parsed {
  const everyMs = parseDuration(every);
  const given = timeoutWord !== undefined;
  const timeoutMs = given ? parseDuration(timeout) : USUAL_TIMEOUT_MS;
  const odd = rest.length > 0 || (given && timeoutWord !== 'timeout');
  if (everyMs === undefined || timeoutMs === undefined || odd)
    return { wrong: 'has other times than those of a health check', meant: MEANT };
  if (everyMs < SHORTEST_MS) return { wrong: 'checks more often than once a second', meant: MEANT };
  if (timeoutMs > everyMs) return { wrong: 'has a timeout above the time between two checks', meant: MEANT };
  return { healthCheck: { ...what, everyMs, timeoutMs } };
}
