import { formatProblem, type Problem } from '../../protocol/problem.ts';

const MAX_MESSAGE = 1_024;
const MAX_PROBLEMS = 5;

/** A condition as it should be (metav1.Condition), but for since when. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

export interface WrittenCondition extends Condition {
  readonly lastTransitionTime: string;
}

/** A condition of an object of a generation: true for `reason`, or false for what is wrong. */
export function condition(
  type: string,
  observedGeneration: number,
  ok: { readonly reason: string; readonly message?: string },
  wrong?: { readonly reason: string; readonly message: string },
): Condition {
  const { reason, message = '' } = wrong ?? ok;
  return { type, status: wrong === undefined ? 'True' : 'False', reason, message, observedGeneration };
}

/**
 * Conditions as they are to be written: the time stays where the status does, and so do conditions of other types,
 * which somebody else writes. Those of `types` go when they are not wanted any more.
 */
export function withTimes(
  wanted: readonly Condition[],
  before: unknown,
  now: Date,
  types: readonly string[] = [],
): WrittenCondition[] {
  const known = conditionsIn(before).filter(
    ({ type }) => !types.includes(type) || wanted.some((one) => one.type === type),
  );
  const written = wanted.map((one) => {
    const old = known.find(({ type }) => type === one.type);
    const lastTransitionTime =
      old?.status === one.status ? old.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, 'Z');
    return { ...one, lastTransitionTime };
  });
  return [...written, ...known.filter(({ type }) => !wanted.some((one) => one.type === type))];
}

function conditionsIn(list: unknown): WrittenCondition[] {
  return Array.isArray(list) ? (list as WrittenCondition[]) : []; // the API server checked it
}

/** Problems in words: field, value, and what was meant. */
export function problemWords(problems: readonly Problem[]): string {
  const told = problems.slice(0, MAX_PROBLEMS).map(formatProblem);
  const more = problems.length - told.length;
  const text = [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('. ');
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 3)}...`;
}
