import type { Filter } from './filter.ts';
import type { Caller, Verdict } from './verdict.ts';

/** `mtls: strict`: the verdict on a caller without a mesh identity; undefined for others. */
export function judgeMtls(service: string): (caller: Caller) => Verdict | undefined {
  const detail = `tulle.dev/mtls of ${service} is strict and the call came in plain text`;
  return ({ mtls, peerAddress }) =>
    mtls
      ? undefined
      : {
          note: { policy: 'mtls', decision: 'refused', detail },
          answer: {
            status: 403,
            code: 'mtls-required',
            detail: `${service} takes calls by mesh mTLS only (tulle.dev/mtls: strict); this one came in plain text from ${peerAddress}`,
          },
        };
}

/** `mtls: strict`: callers without a mesh identity are refused. */
export function requireMtls(service: string): Filter {
  const judge = judgeMtls(service);
  return {
    name: 'mtls',
    onRequest(exchange) {
      const verdict = judge(exchange);
      if (verdict === undefined) return undefined;
      exchange.policies.push(verdict.note);
      return verdict.answer;
    },
  };
}
