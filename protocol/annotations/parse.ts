import { DEFAULT_SETTINGS } from '../default-settings.ts';
import { fewOf } from '../few-problems.ts';
import { nearest } from '../nearest.ts';
import { POD_ANNOTATIONS } from '../pod-annotations.ts';
import { type Problem, showValue } from '../problem.ts';
import { notOnRoutes, type RoutePolicy } from '../route-policy.ts';
import { TRAFFIC_FIELDS, type TrafficField, type TrafficSettings } from '../traffic-policy.ts';
import { parseBalance } from './balance.ts';
import { parseCache } from './cache.ts';
import { parseCircuitBreaker } from './circuit-breaker.ts';
import { parseDirectResponse } from './direct-response.ts';
import { parseFault } from './fault.ts';
import { parseHealthCheck } from './health-check.ts';
import { parseHedge } from './hedge.ts';
import { parseLimits } from './limits.ts';
import { isWrong, type Parsed, settled, type Wrong } from './parsed.ts';
import { parseRateLimit, unverifiedKeys } from './rate-limit.ts';
import { parseRetries } from './retries.ts';
import { parseRetryBudget } from './retry-budget.ts';
import { parseRewrite } from './rewrite.ts';
import { parseAllow, parseCoalesce, parseCompress, parseMtls, parseOpaquePorts } from './simple.ts';
import { parseSticky } from './sticky.ts';
import { parseTimeout } from './timeout.ts';

const PREFIX = 'tulle.dev/';
/** As for a TrafficPolicy's fields. */
const MAX_TEXT = 4096;

/** What this version reads but does not do yet: said, so that nobody believes to be protected. */
const NOT_ENFORCED: readonly TrafficField[] = ['cache', 'coalesce', 'compress'];

const PARSERS: Readonly<Record<TrafficField, (text: string, base: TrafficSettings) => Parsed>> = {
  timeout: (text) => parseTimeout(text, 'timeoutMs'),
  'try-timeout': (text) => parseTimeout(text, 'tryTimeoutMs'),
  'idle-timeout': (text) => parseTimeout(text, 'idleTimeoutMs'),
  'connect-timeout': (text) => parseTimeout(text, 'connectTimeoutMs'),
  retries: parseRetries,
  'retry-budget': parseRetryBudget,
  hedge: parseHedge,
  balance: parseBalance,
  'circuit-breaker': parseCircuitBreaker,
  'health-check': parseHealthCheck,
  limits: (text, base) => parseLimits(text, base.limits),
  'rate-limit': parseRateLimit,
  cache: parseCache,
  coalesce: parseCoalesce,
  compress: parseCompress,
  fault: parseFault,
  'direct-response': parseDirectResponse,
  rewrite: parseRewrite,
  sticky: parseSticky,
  mtls: parseMtls,
  allow: parseAllow,
  'opaque-ports': parseOpaquePorts,
};

export interface SettingsWithProblems {
  readonly settings: TrafficSettings;
  readonly problems: Problem[];
}

/**
 * Reads the `tulle.dev/` annotations over `base`. A wrong value is a problem and leaves its field as it
 * was, the rest holds; annotations of others are not looked at.
 */
export function parseAnnotations(
  annotations: Readonly<Record<string, string>>,
  base: TrafficSettings,
): SettingsWithProblems {
  const fields: Record<string, string> = {};
  const unknown: [field: string, value: string][] = [];
  for (const [name, value] of Object.entries(annotations)) {
    if (!name.startsWith(PREFIX)) continue;
    const field = name.slice(PREFIX.length);
    if (isTrafficField(field)) fields[field] = value;
    else if (!POD_ANNOTATIONS.includes(field)) unknown.push([field, value]);
  }
  const parsed = parseFields(fields, base, (field) => `annotations.${PREFIX}${field}`);
  return { settings: parsed.settings, problems: [...fewOf(unknown, unknownAnnotation), ...parsed.problems] };
}

const TOO_LONG: Parsed = {
  wrong: `has more than ${MAX_TEXT} characters`,
  meant: 'write a TrafficPolicy or less',
};

/** The same for fields without prefix: a TrafficPolicy's spec. */
export function parseFields(
  fields: Readonly<Record<string, string | undefined>>,
  base: TrafficSettings,
  path: (field: string) => string,
): SettingsWithProblems {
  let settings = base;
  const problems: Problem[] = [];
  for (const field of TRAFFIC_FIELDS) {
    const text = fields[field];
    if (text === undefined) continue;
    const read = readField(field, text, settings, path(field));
    if (read.parsed !== undefined) settings = settled(settings, read.parsed);
    problems.push(...read.problems);
  }
  return { settings, problems };
}

/** Fields of a TrafficPolicy about a route or a Gateway: what they say in place of what services say. */
export function parseRouteFields(
  fields: Readonly<Record<string, string | undefined>>,
  path: (field: string) => string,
): { policy: RoutePolicy; problems: Problem[] } {
  let policy: RoutePolicy = { set: {}, unset: [] };
  const problems: Problem[] = [];
  for (const field of TRAFFIC_FIELDS) {
    const text = fields[field];
    if (text === undefined) continue;
    const message = notOnRoutes(field);
    if (message !== undefined) {
      const meant = 'write it as an annotation of the Service, or in a TrafficPolicy about it';
      problems.push({ severity: 'error', field: path(field), value: showValue(text), message, meant });
      continue;
    }
    const read = readField(field, text, DEFAULT_SETTINGS, path(field));
    problems.push(...read.problems);
    if (read.parsed === undefined) continue;
    policy =
      'unset' in read.parsed
        ? { ...policy, unset: [...policy.unset, read.parsed.unset] }
        : { ...policy, set: { ...policy.set, ...read.parsed } };
  }
  return { policy, problems };
}

/** What one field says, and what is wrong with it or not done yet. */
function readField(
  field: TrafficField,
  text: string,
  base: TrafficSettings,
  path: string,
): { parsed: Exclude<Parsed, Wrong> | undefined; problems: Problem[] } {
  const parsed: Parsed = text.length > MAX_TEXT ? TOO_LONG : PARSERS[field](text, base);
  const at = { field: path, value: showValue(text) };
  if (isWrong(parsed)) {
    const problem: Problem = { severity: 'error', ...at, message: parsed.wrong, meant: parsed.meant };
    return { parsed: undefined, problems: [problem] };
  }
  if ('rateLimits' in parsed) return { parsed, problems: unverified(parsed.rateLimits ?? [], at) };
  if (!NOT_ENFORCED.includes(field)) return { parsed, problems: [] };
  const message = 'is understood, but not enforced by this version';
  return { parsed, problems: [{ severity: 'warning', ...at, message, meant: '' }] };
}

/** Who can choose what he is counted as has as many quotas as he likes. */
function unverified(limits: TrafficSettings['rateLimits'], at: Pick<Problem, 'field' | 'value'>): Problem[] {
  return unverifiedKeys(limits).map((key) => ({
    severity: 'warning',
    ...at,
    message: `tells callers apart by ${key}, which is not verified by this version: a caller may send whatever he likes`,
    meant: 'add a limit by client or by ip beside it',
  }));
}

function isTrafficField(field: string): field is TrafficField {
  return (TRAFFIC_FIELDS as readonly string[]).includes(field);
}

function unknownAnnotation(field: string, value: string): Problem {
  const name = `${PREFIX}${field}`;
  const guess = nearest(field, [...TRAFFIC_FIELDS, ...POD_ANNOTATIONS]);
  return {
    severity: 'error',
    field: `annotations.${name}`,
    value: showValue(value, field),
    message: `stands at an annotation that does not exist: ${name.slice(0, 100)}`,
    meant:
      guess === undefined ? `known are ${TRAFFIC_FIELDS.join(', ')}` : `perhaps ${PREFIX}${guess} was meant`,
  };
}
