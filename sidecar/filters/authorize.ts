import { matchesClient } from '../../protocol/spiffe.ts';
import type { Filter } from './filter.ts';

/**
 * Lets in only the callers that the `allow` annotation names, by the identity they proved by mTLS.
 * `namespace`: where a bare name in `allow` is looked up.
 */
export function authorize(allow: readonly string[], namespace: string, service: string): Filter {
  const rule = `tulle.dev/allow "${allow.join(', ')}" of ${service}`;
  const allowed = { policy: 'allow', decision: 'allowed', detail: rule };
  return {
    name: 'allow',
    onRequest(exchange) {
      const { peer } = exchange;
      if (peer !== '' && allow.some((pattern) => matchesClient(pattern, namespace, peer))) {
        exchange.policies.push(allowed);
        return undefined;
      }
      const who = peer === '' ? `a caller without a mesh identity (${exchange.peerAddress})` : peer;
      exchange.note('allow', 'refused', `${who} is not in ${rule}`);
      return { status: 403, code: 'not-allowed', detail: `${who} may not call ${service}: ${rule}` };
    },
  };
}
