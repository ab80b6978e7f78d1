import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import type { ObjectProblem } from '../registry/kubernetes/object-problem.ts';
import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { condition, problemWords, withTimes } from './conditions.ts';

/** The status of a TrafficPolicy, an AccessPolicy or an Aggregate: whether it is in force as it is written. */
export function policyStatus(seen: SeenDocument, known: Pick<KnownObjects, 'problemsOf'>, now: Date): object {
  const { kept, status } = seen;
  const problems = known.problemsOf(kept.reference.kind, `${kept.namespace}/${kept.name}`);
  const wrong = problems.filter(isRefusal);
  const references = problems.filter(
    ({ reason }) => reason === 'TargetNotFound' || reason === 'RefNotPermitted',
  );
  const words = (some: readonly ObjectProblem[]) => problemWords(some.map(({ problem }) => problem));
  const refusal = (some: readonly ObjectProblem[]) =>
    some[0] === undefined ? undefined : { reason: some[0].reason ?? 'Invalid', message: words(some) };
  const conditions = [
    condition('Accepted', kept.generation, { reason: 'Accepted', message: words(problems) }, refusal(wrong)),
    condition('ResolvedRefs', kept.generation, { reason: 'ResolvedRefs' }, refusal(references)),
  ];
  return {
    conditions: withTimes(conditions, (status as { conditions?: unknown } | undefined)?.conditions, now),
  };
}

/** What is only warned of is in force; what is not served at all is not, however mildly that is said. */
function isRefusal({ problem, reason }: ObjectProblem): boolean {
  return problem.severity === 'error' || reason === 'UnsupportedValue';
}
