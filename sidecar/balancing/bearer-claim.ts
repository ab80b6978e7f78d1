import { NO_HASH, textHash } from '../http/text-hash.ts';
import { detached } from '../telemetry/detached.ts';

/** Longer ones are not read. */
const MAX_AUTHORIZATION = 16 * 1024;
/** Callers send the same token time and again. With the longest tokens these are 4 MB. */
const KEPT = 256;

/**
 * Hashes a claim of the JWT of an `Authorization: Bearer` header; NO_HASH where there is none. The token is NOT
 * verified: whoever calls may write into it what he wants. That may choose among equals, and must decide nothing else.
 * `name`: of a claim, or with dots a way into objects.
 */
export function bearerClaimHash(name: string): (authorization: string | undefined) => number {
  const known = new Map<string, number>();
  return (authorization) => {
    if (authorization === undefined || authorization.length > MAX_AUTHORIZATION) return NO_HASH;
    const before = known.get(authorization);
    if (before !== undefined) return before;
    const claim = readClaim(authorization, name);
    const hash = claim === '' ? NO_HASH : textHash(claim);
    if (known.size >= KEPT) known.clear();
    known.set(detached(authorization), hash);
    return hash;
  };
}

function readClaim(authorization: string, name: string): string {
  const payload = /^bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization)?.[1];
  if (payload === undefined) return '';
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  } catch {
    return '';
  }
  // A claim of the whole name goes before one inside an object.
  const found = fieldOf(claims, name) ?? name.split('.').reduce<unknown>(fieldOf, claims);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
