import type { AccessPolicy } from '../../protocol/access-policy.ts';
import type { Filter } from './filter.ts';

/**
 * AccessPolicies are understood but not enforced by this version. A policy that protects must not be
 * passed over in silence, so the requests it would have judged are refused.
 */
export function refuseUnenforced(policies: readonly AccessPolicy[], service: string): Filter {
  const names = policies.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
  return {
    name: 'access-policy',
    onRequest(exchange) {
      const detail = `AccessPolicy ${names} protects ${service}, and this version does not enforce AccessPolicies yet: remove it or use tulle.dev/allow`;
      exchange.note('access-policy', 'refused', detail);
      return { status: 403, code: 'policy-not-enforced', detail };
    },
  };
}
