import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { Account } from '../quotas/account.ts';

/** How a limit is called in fields of responses; nothing in it is a caller's. */
export function fieldNames(limits: readonly RateLimit[]): string[] {
  const names = limits.map(({ by }) => (by.length === 0 ? 'all' : by.join(' ')));
  return names.map((name, index) => {
    const before = names.slice(0, index).filter((other) => other === name).length;
    return before === 0 ? name : `${name} ${before + 1}`;
  });
}

/** `RateLimit-Policy` of all limits (draft-ietf-httpapi-ratelimit-headers). */
export function policyField(limits: readonly { readonly limit: RateLimit; readonly name: string }[]): string {
  const items = limits.map(({ limit: { algorithm, tokens, perMs }, name }) =>
    algorithm === 'concurrency'
      ? `"${name}";q=${tokens};qu="concurrent-requests"`
      : `"${name}";q=${tokens};w=${perMs / 1000}`,
  );
  return `ratelimit-policy: ${items.join(', ')}\r\n`;
}

/** `RateLimit`: what is left of one limit, and when it is whole. */
export function limitField(name: string, account: Account, nowMs: number): string {
  const seconds = Math.ceil(account.resetMs(nowMs) / 1000);
  const resets = account.quota.limit.algorithm === 'concurrency' ? '' : `;t=${seconds}`;
  return `ratelimit: "${name}";r=${Math.floor(account.remaining(nowMs))}${resets}\r\n`;
}

/** `RateLimit` of the limit that refused, and when it is worth to come again. For gRPC its own word for that (gRFC A6). */
export function refusalFields(name: string, retryAfterMs: number, grpc: boolean): string {
  if (!Number.isFinite(retryAfterMs)) return `ratelimit: "${name}";r=0\r\n`;
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  const pushback = grpc ? `grpc-retry-pushback-ms: ${Math.max(1, Math.ceil(retryAfterMs))}\r\n` : '';
  return `ratelimit: "${name}";r=0;t=${seconds}\r\nretry-after: ${seconds}\r\n${pushback}`;
}
