import type { Filter } from './filter.ts';

/** `mtls: strict`: callers without a mesh identity are refused. */
export function requireMtls(service: string): Filter {
  return {
    name: 'mtls',
    onRequest(exchange) {
      if (exchange.mtls) return undefined;
      exchange.note(
        'mtls',
        'refused',
        `tulle.dev/mtls of ${service} is strict and the call came in plain text`,
      );
      return {
        status: 403,
        code: 'mtls-required',
        detail: `${service} takes calls by mesh mTLS only (tulle.dev/mtls: strict); this one came in plain text from ${exchange.peerAddress}`,
      };
    },
  };
}
