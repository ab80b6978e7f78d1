import type { BalanceStrategy } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

const PLAIN: readonly BalanceStrategy[] = ['p2c-ewma', 'least-request', 'round-robin', 'random'];
const MEANT = `write ${PLAIN.join(', ')}, or ring-hash or maglev with what to hash, like "ring-hash header:x-user"`;

/** `p2c-ewma`, `ring-hash header:x-user`. */
export function parseBalance(text: string): Parsed {
  const [name = '', hashOn, ...rest] = text.trim().split(/\s+/);
  const strategy = PLAIN.find((known) => known === name);
  if (strategy !== undefined && hashOn === undefined) return { balance: { strategy } };
  const hashed = (name === 'ring-hash' || name === 'maglev') && rest.length === 0;
  if (hashed && /^(header:[\w-]+|cookie:[\w-]+|source|claim:[\w.-]+)$/.test(hashOn ?? '')) {
    return { balance: { strategy: name, hashOn: hashOn ?? '' } };
  }
  return { wrong: 'is not a way to balance', meant: MEANT };
}
