import type { AccessPolicy } from '../../protocol/access-policy.ts';
import type { Filter } from './filter.ts';
import type { Verdict } from './verdict.ts';

/**
 * AccessPolicies are understood but not enforced by this version. A policy that protects must not be
 * passed over in silence, so the calls it would have judged are refused.
 */
export function judgeUnenforced(policies: readonly AccessPolicy[], service: string): Verdict {
  const names = policies.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
  const detail = `AccessPolicy ${names} protects ${service}, and this version does not enforce AccessPolicies yet: remove it or use tulle.dev/allow`;
  return {
    note: { policy: 'access-policy', decision: 'refused', detail },
    answer: { status: 403, code: 'policy-not-enforced', detail },
  };
}

/** Refuses every request while there are AccessPolicies. */
export function refuseUnenforced(policies: readonly AccessPolicy[], service: string): Filter {
  const { note, answer } = judgeUnenforced(policies, service);
  return {
    name: 'access-policy',
    onRequest(exchange) {
      exchange.policies.push(note);
      return answer;
    },
  };
}
