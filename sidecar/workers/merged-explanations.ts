import type { Explanation } from '../telemetry/explanation.ts';
import { isNotable, SLOW_MS } from '../telemetry/explanation-ring.ts';

/** Those that failed or were slow first, then the newest. */
function byInterest(a: Explanation, b: Explanation): number {
  return Number(notable(b)) - Number(notable(a)) || b.at - a.at;
}

function notable(explanation: Explanation): boolean {
  return isNotable(explanation, explanation.durationMs, SLOW_MS);
}

/** The newest `limit` of all workers, in the order of one. */
export function mergedRecent(lists: readonly (readonly Explanation[])[], limit: number): Explanation[] {
  return lists.flat().sort(byInterest).slice(0, limit);
}

/** What workers know of one id: several know it where a service made calls while it served the request. */
export function mergedExplanation(found: readonly (Explanation | undefined)[]): Explanation | undefined {
  const all = found
    .filter((one) => one !== undefined)
    .flatMap(({ others = [], ...one }): Explanation[] => [one, ...others]);
  const [first, ...others] = all.sort(byInterest);
  if (first === undefined || others.length === 0) return first;
  return { ...first, others: others.sort((a, b) => a.at - b.at) };
}
