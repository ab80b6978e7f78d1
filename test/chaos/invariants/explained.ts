import { REASONS } from '../../../protocol/reasons.ts';
import type { Invariant } from '../evidence.ts';

/**
 * Every failure that the mesh makes says why: `tulle-reason` names a known reason. Applications of the storm answer no
 * failure of their own but 409, which is a mix-up.
 */
export const explained: Invariant = {
  name: 'explained',
  check({ requests, impairments }) {
    const silent = requests.filter((request) => {
      const { ok, of, status, reason, explanation, entry, startMs, endMs } = request;
      if (ok || of === 'opaque' || status === 409) return false;
      if (reason in REASONS) return false;
      // A response that was cut short cannot say why any more: the explanation does.
      if (/^ {2}reason \S/m.test(explanation ?? '')) return false;
      const gone = impairments.some(
        ({ parts, fromMs, toMs }) => parts.includes(entry) && fromMs <= endMs && toMs >= startMs,
      );
      // Who is killed explains nothing any more; a failure that came without a reason was said by somebody.
      return !(gone && status < 400);
    });
    const byKind = Map.groupBy(silent, ({ kind, status, detail }) => `${kind}: ${status} ${detail}`);
    return [...byKind].map(([what, all]) => ({
      invariant: 'explained',
      detail: `${all.length} failures without a known reason (${what})`,
      requests: all.map(({ id }) => id),
    }));
  },
};
