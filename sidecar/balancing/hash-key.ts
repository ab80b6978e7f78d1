import type { Exchange } from '../exchange.ts';
import { cookieValue } from '../http/cookie.ts';
import { NO_HASH, textHash } from '../http/text-hash.ts';
import { bearerClaimHash } from './bearer-claim.ts';

/** Hashes what `header:NAME`, `cookie:NAME`, `source` or `claim:NAME` says of a request; NO_HASH where it says nothing. */
export type HashKey = (exchange: Exchange) => number;

/** Reads the key of `hashOn`. */
export function hashKey(hashOn: string): HashKey {
  const name = hashOn.slice(hashOn.indexOf(':') + 1);
  if (hashOn.startsWith('header:')) {
    const header = name.toLowerCase();
    return (exchange) => hashOf(exchange.header(header));
  }
  if (hashOn.startsWith('cookie:')) return ({ head }) => hashOf(cookieValue(head, name));
  if (hashOn.startsWith('claim:')) {
    const claim = bearerClaimHash(name);
    return ({ head }) => claim(head.get('authorization'));
  }
  return ({ peerAddress }) => sourceHash(peerAddress);
}

function hashOf(key: string | undefined): number {
  return key === undefined || key === '' ? NO_HASH : textHash(key);
}

/** Of the IP alone: another connection has another port. */
function sourceHash(peerAddress: string): number {
  const end = peerAddress.lastIndexOf(':');
  return end <= 0 ? NO_HASH : textHash(peerAddress, end);
}
