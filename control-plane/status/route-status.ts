import { CONTROLLER } from '../registry/kubernetes/known-gateways.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import type { ConditionReason, ObjectProblem } from '../registry/kubernetes/object-problem.ts';
import { type ParentRef, parentOf, type RawRef } from '../registry/kubernetes/route-document.ts';
import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { type Condition, condition, problemWords, withTimes } from './conditions.ts';
import { entriesInPlace } from './entries-in-place.ts';

/** Reasons of the condition ResolvedRefs; all others are of Accepted. */
const ABOUT_REFERENCES: ReadonlySet<ConditionReason | undefined> = new Set<ConditionReason>([
  'BackendNotFound',
  'RefNotPermitted',
  'InvalidKind',
]);

interface ParentStatus {
  readonly parentRef?: RawRef;
  readonly controllerName?: string;
  readonly conditions?: unknown;
}

/**
 * The status of a route: an entry for each parent that is ours, as its reference is written; entries of others stay
 * as they are.
 */
export function routeStatus(
  seen: SeenDocument,
  known: Pick<KnownObjects, 'gateways' | 'problemsOf'>,
  now: Date,
): { parents: ParentStatus[] } {
  const { kept, status } = seen;
  const before = (status as { parents?: ParentStatus[] } | undefined)?.parents ?? [];
  const refs = (kept.document.spec as { parentRefs?: RawRef[] } | undefined)?.parentRefs ?? [];
  const problems = known.problemsOf(kept.reference.kind, `${kept.namespace}/${kept.name}`);
  const own = refs.flatMap((parentRef, index): ParentStatus[] => {
    const { kind, key } = parentOf(parentRef, kept.namespace);
    if (!isOurs(kind, key, known.gateways)) return [];
    const old = before.find((one) => one.controllerName === CONTROLLER && isSame(one.parentRef, parentRef));
    const wanted = parentConditions(problems, index, kept.generation);
    return [{ parentRef, controllerName: CONTROLLER, conditions: withTimes(wanted, old?.conditions, now) }];
  });
  return {
    parents: entriesInPlace(before, own, (one, { parentRef }) => isSame(one.parentRef, parentRef ?? {})),
  };
}

function isOurs(kind: ParentRef['kind'], key: string, gateways: KnownObjects['gateways']): boolean {
  if (kind === 'Gateway') return gateways.gateway(key) !== undefined;
  if (kind === 'ListenerSet') return gateways.listenerSet(key) !== undefined;
  return kind === 'Service';
}

function parentConditions(
  problems: readonly ObjectProblem[],
  index: number,
  generation: number,
): Condition[] {
  const here = problems.filter(
    ({ parent, problem }) => problem.severity === 'error' && (parent ?? index) === index,
  );
  const references = here.filter(({ reason }) => ABOUT_REFERENCES.has(reason));
  const others = here.filter(({ reason }) => !ABOUT_REFERENCES.has(reason));
  return [
    condition('Accepted', generation, { reason: 'Accepted' }, wrongOf(others)),
    condition('ResolvedRefs', generation, { reason: 'ResolvedRefs' }, wrongOf(references)),
  ];
}

function wrongOf(problems: readonly ObjectProblem[]) {
  const [first] = problems;
  if (first === undefined) return undefined;
  return {
    reason: first.reason ?? 'UnsupportedValue',
    message: problemWords(problems.map(({ problem }) => problem)),
  };
}

function isSame(a: RawRef | undefined, b: RawRef): boolean {
  const text = ({ group, kind, namespace, name, sectionName, port }: RawRef) =>
    JSON.stringify([group, kind, namespace, name, sectionName, port]);
  return a !== undefined && text(a) === text(b);
}
