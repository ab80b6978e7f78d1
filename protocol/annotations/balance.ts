import { parseDuration } from '../duration.ts';
import { showValue } from '../problem.ts';
import type { BalancePolicy, BalanceStrategy } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

const PLAIN: readonly BalanceStrategy[] = ['p2c-ewma', 'least-request', 'round-robin', 'random'];
const MEANT = `write ${PLAIN.join(', ')}, or ring-hash or maglev with what to hash, like "ring-hash header:x-user"`;
const PARTS_MEANT =
  'write after the strategy, separated by commas: slow-start DURATION, subset COUNT, warm COUNT, zone prefer, zone off, panic PERCENT%; with ring-hash and maglev: bounded PERCENT%, warm COUNT, panic PERCENT%';

/** What does not go with hashing: a key would no longer have one endpoint for all callers. */
const NOT_HASHED = ['slowStartMs', 'subset', 'zone'] as const;

type Option = Omit<BalancePolicy, 'strategy' | 'hashOn'>;

/** `p2c-ewma`, `ring-hash header:x-user, bounded 150%`, `least-request, slow-start 30s, zone prefer`. */
export function parseBalance(text: string): Parsed {
  const [first = '', ...parts] = text.split(',').map((part) => part.trim());
  const strategy = readStrategy(first);
  if (strategy === undefined) return { wrong: 'is not a way to balance', meant: MEANT };
  let balance: BalancePolicy = strategy;
  for (const part of parts) {
    const option = readOption(part);
    if (option === undefined || !fits(option, strategy))
      return {
        wrong: `has ${showValue(part)}, which is no part of a ${strategy.strategy}`,
        meant: PARTS_MEANT,
      };
    balance = { ...balance, ...option };
  }
  return { balance };
}

function readStrategy(text: string): BalancePolicy | undefined {
  const [name = '', hashOn, ...rest] = text.split(/\s+/);
  const strategy = PLAIN.find((known) => known === name);
  if (strategy !== undefined) return hashOn === undefined ? { strategy } : undefined;
  if ((name !== 'ring-hash' && name !== 'maglev') || hashOn === undefined || rest.length > 0)
    return undefined;
  const isKey = /^(header:[\w-]+|cookie:[\w-]+|source|claim:[\w.-]+)$/.test(hashOn);
  return isKey ? { strategy: name, hashOn } : undefined;
}

function readOption(part: string): Option | undefined {
  const [name, value = '', ...rest] = part.split(/\s+/);
  if (rest.length > 0) return undefined;
  switch (name) {
    case 'bounded':
      return option('boundedPercent', percent(value, 101, 1000));
    case 'slow-start':
      return option('slowStartMs', parseDuration(value));
    case 'subset':
      return option('subset', whole(value, 2, 10_000));
    case 'warm':
      return option('warm', whole(value, 1, 100));
    case 'zone':
      return option('zone', value === 'prefer' || value === 'off' ? value : undefined);
    case 'panic':
      return option('panicPercent', percent(value, 0, 100));
    default:
      return undefined;
  }
}

function option<K extends keyof Option>(name: K, value: Option[K]): Option | undefined {
  return value === undefined ? undefined : { [name]: value };
}

function percent(text: string, least: number, most: number): number | undefined {
  return text.endsWith('%') ? whole(text.slice(0, -1), least, most) : undefined;
}

function whole(text: string, least: number, most: number): number | undefined {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}

function fits(option: Option, { hashOn }: BalancePolicy): boolean {
  if (hashOn === undefined) return option.boundedPercent === undefined;
  return NOT_HASHED.every((name) => option[name] === undefined);
}
