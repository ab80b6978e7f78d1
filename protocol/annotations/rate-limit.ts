import { showValue } from '../problem.ts';
import type { RateLimit } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

const PER: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BY = /^(client|ip|path|api-key|header:[\w-]{1,64}|claim:[\w.-]{1,64})$/;
const COUNT = /^\d{1,9}$/;
const RATE = /^(\d{1,9})\/([smhd])$/;
/** Each costs every request a decision. */
const MAX_LIMITS = 8;
const MAX_KEYS = 6;
const MEANT =
  'write COUNT/s (or m, h, d), with "burst COUNT" if wanted, "window COUNT/h", "estimate COUNT/h" or "concurrent COUNT"; then what is wanted of "by client", "exact", "dry-run" and "on-outage share", like "100/s burst 200 by client"; by what: client, ip, path, api-key, header:NAME, claim:NAME; several limits are separated by ;, and off takes them away';

/** What is wrong with a part, as the rest of a sentence. */
class WrongPart {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** `100/s burst 200 by client; window 10000/h exact; concurrent 50 by client`, or `off`. */
export function parseRateLimit(text: string): Parsed {
  if (text.trim() === 'off') return { rateLimits: [] };
  const parts = text.split(';').map((part) => part.trim());
  if (parts.length > MAX_LIMITS)
    return { wrong: `has ${parts.length} limits, and no more than ${MAX_LIMITS} are taken`, meant: MEANT };
  const rateLimits: RateLimit[] = [];
  for (const part of parts) {
    const limit = parseOne(part);
    if (limit instanceof WrongPart) return { wrong: `has ${showValue(part)}, ${limit.why}`, meant: MEANT };
    rateLimits.push(limit);
  }
  return { rateLimits };
}

const NO_LIMIT = new WrongPart('which is no rate limit');

/** Keys of which a request says itself what they are, and nobody has checked it. */
export function unverifiedKeys(limits: readonly RateLimit[]): string[] {
  const keys = limits.flatMap(({ by }) => by);
  return [...new Set(keys.filter((key) => key === 'api-key' || key.startsWith('claim:')))];
}

function parseOne(part: string): RateLimit | WrongPart {
  const words = part
    .replace(/ *([/,]) */g, '$1')
    .split(/\s+/)
    .values();
  const counted = parseCount(words);
  if (counted instanceof WrongPart) return counted;
  const told: Options = {};
  for (const word of words) {
    const wrong = takeOption(told, counted.algorithm, word, words);
    if (wrong !== undefined) return wrong;
  }
  const { by = [], burst = counted.tokens, exact = false, dryRun = false, onOutage = 'share' } = told;
  return { ...counted, burst, by, mode: exact ? 'exact' : 'lease', onOutage, dryRun };
}

type Counted = Pick<RateLimit, 'algorithm' | 'tokens' | 'perMs'>;

interface Options {
  burst?: number;
  by?: readonly string[];
  exact?: true;
  dryRun?: true;
  onOutage?: RateLimit['onOutage'];
}

function parseCount(words: IterableIterator<string, undefined>): Counted | WrongPart {
  const first = words.next().value ?? '';
  if (first === 'concurrent') {
    const tokens = count(words.next().value);
    return tokens === undefined ? NO_LIMIT : { algorithm: 'concurrency', tokens, perMs: 0 };
  }
  const windowed = first === 'window' || first === 'estimate';
  const [, tokens = '', unit = ''] = RATE.exec(windowed ? (words.next().value ?? '') : first) ?? [];
  const many = count(tokens);
  if (many === undefined) return NO_LIMIT;
  return { algorithm: windowed ? WINDOWS[first] : 'token-bucket', tokens: many, perMs: PER[unit] ?? 1000 };
}

const WINDOWS = { window: 'sliding-window', estimate: 'sliding-estimate' } as const;

function count(text: string | undefined): number | undefined {
  if (text === undefined || !COUNT.test(text) || Number(text) === 0) return undefined;
  return Number(text);
}

function takeOption(
  told: Options,
  algorithm: RateLimit['algorithm'],
  word: string,
  words: IterableIterator<string, undefined>,
): WrongPart | undefined {
  switch (word) {
    case 'burst': {
      const burst = count(words.next().value);
      if (burst === undefined || told.burst !== undefined) return NO_LIMIT;
      if (algorithm !== 'token-bucket') return new WrongPart('and a burst is of COUNT/s only');
      told.burst = burst;
      return undefined;
    }
    case 'by': {
      const by = words.next().value?.split(',') ?? [];
      if (
        told.by !== undefined ||
        by.length === 0 ||
        by.length > MAX_KEYS ||
        !by.every((key) => BY.test(key))
      )
        return NO_LIMIT;
      told.by = by.map((key) => (key.startsWith('header:') ? key.toLowerCase() : key));
      return undefined;
    }
    case 'exact':
      if (algorithm === 'concurrency')
        return new WrongPart('and "concurrent" is never more than its count: it has no mode exact');
      told.exact = true;
      return undefined;
    case 'dry-run':
      told.dryRun = true;
      return undefined;
    case 'on-outage': {
      const onOutage = words.next().value;
      if (told.onOutage !== undefined || !isOnOutage(onOutage)) return NO_LIMIT;
      told.onOutage = onOutage;
      return undefined;
    }
    default:
      return NO_LIMIT;
  }
}

function isOnOutage(word: string | undefined): word is RateLimit['onOutage'] {
  return word === 'share' || word === 'allow' || word === 'deny';
}
