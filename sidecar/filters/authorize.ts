import { matchesClient } from '../../protocol/spiffe.ts';
import type { Filter } from './filter.ts';
import type { Caller, Verdict } from './verdict.ts';

/**
 * Decides by the `allow` annotation: only the callers that it names get in, by the identity they proved by
 * mTLS. `namespace`: where a bare name in `allow` is looked up.
 */
export function judgeAllowed(
  allow: readonly string[],
  namespace: string,
  service: string,
): (caller: Caller) => Verdict {
  const rule = `tulle.dev/allow "${allow.join(', ')}" of ${service}`;
  const allowed: Verdict = { note: { policy: 'allow', decision: 'allowed', detail: rule } };
  return ({ peer, peerAddress }) => {
    if (peer !== '' && allow.some((pattern) => matchesClient(pattern, namespace, peer))) return allowed;
    const who = peer === '' ? `a caller without a mesh identity (${peerAddress})` : peer;
    return {
      note: { policy: 'allow', decision: 'refused', detail: `${who} is not in ${rule}` },
      answer: { status: 403, code: 'not-allowed', detail: `${who} may not call ${service}: ${rule}` },
    };
  };
}

/** Lets in only the callers that the `allow` annotation names. */
export function authorize(allow: readonly string[], namespace: string, service: string): Filter {
  const judge = judgeAllowed(allow, namespace, service);
  return {
    name: 'allow',
    onRequest(exchange) {
      const { note, answer } = judge(exchange);
      exchange.policies.push(note);
      return answer;
    },
  };
}
