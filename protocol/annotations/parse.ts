import { nearest } from '../nearest.ts';
import { type Problem, showValue } from '../problem.ts';
import { TRAFFIC_FIELDS, type TrafficField, type TrafficSettings } from '../traffic-policy.ts';
import { parseBalance } from './balance.ts';
import { parseCache } from './cache.ts';
import { parseCircuitBreaker } from './circuit-breaker.ts';
import { parseHealthCheck } from './health-check.ts';
import { parseHedge } from './hedge.ts';
import { parseLimits } from './limits.ts';
import { isWrong, type Parsed, settled } from './parsed.ts';
import { parseRateLimit } from './rate-limit.ts';
import { parseRetries } from './retries.ts';
import { parseRetryBudget } from './retry-budget.ts';
import { parseAllow, parseCoalesce, parseCompress, parseMtls, parseOpaquePorts } from './simple.ts';
import { parseTimeout } from './timeout.ts';

const PREFIX = 'tulle.dev/';
/** As for a TrafficPolicy's fields. */
const MAX_TEXT = 4096;

/** The pod's own annotations (DESIGN section 7): known, but not about traffic. */
const POD_ANNOTATIONS = [
  'inject',
  'proxy-cpu-request',
  'proxy-cpu-limit',
  'proxy-memory-request',
  'proxy-memory-limit',
  'proxy-image',
  'proxy-log-level',
  'proxy-workers',
  'skip-inbound-ports',
  'skip-outbound-ports',
  'skip-outbound-cidrs',
  'access-log',
  'trace-sample',
  'native-sidecar',
];

/** What this version reads but does not do yet: said, so that nobody believes to be protected. */
const NOT_ENFORCED: readonly TrafficField[] = [
  'hedge',
  'circuit-breaker',
  'rate-limit',
  'cache',
  'coalesce',
  'compress',
];

const PARSERS: Readonly<Record<TrafficField, (text: string, base: TrafficSettings) => Parsed>> = {
  timeout: (text) => parseTimeout(text, 'timeoutMs'),
  'try-timeout': (text) => parseTimeout(text, 'tryTimeoutMs'),
  retries: parseRetries,
  'retry-budget': parseRetryBudget,
  hedge: parseHedge,
  balance: parseBalance,
  'circuit-breaker': (text, base) => parseCircuitBreaker(text, base.circuitBreaker),
  'health-check': parseHealthCheck,
  limits: (text, base) => parseLimits(text, base.limits),
  'rate-limit': parseRateLimit,
  cache: parseCache,
  coalesce: parseCoalesce,
  compress: parseCompress,
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
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(annotations)) {
    if (!name.startsWith(PREFIX)) continue;
    const field = name.slice(PREFIX.length);
    if (isTrafficField(field)) fields[field] = value;
    else if (!POD_ANNOTATIONS.includes(field)) problems.push(unknownAnnotation(name, field, value));
  }
  const parsed = parseFields(fields, base, (field) => `annotations.${PREFIX}${field}`);
  return { settings: parsed.settings, problems: [...problems, ...parsed.problems] };
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
    const parsed: Parsed = text.length > MAX_TEXT ? TOO_LONG : PARSERS[field](text, settings);
    const at = { field: path(field), value: showValue(text) };
    if (isWrong(parsed))
      problems.push({ severity: 'error', ...at, message: parsed.wrong, meant: parsed.meant });
    else settings = settled(settings, parsed);
    if (
      !isWrong(parsed) &&
      (NOT_ENFORCED.includes(field) || ('balance' in parsed && parsed.balance.hashOn !== undefined))
    ) {
      problems.push({
        severity: 'warning',
        ...at,
        message: 'is understood, but not enforced by this version',
        meant: '',
      });
    }
  }
  return { settings, problems };
}

function isTrafficField(field: string): field is TrafficField {
  return (TRAFFIC_FIELDS as readonly string[]).includes(field);
}

function unknownAnnotation(name: string, field: string, value: string): Problem {
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
