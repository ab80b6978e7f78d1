import type { Problem } from './problem.ts';

/** So many annotations that do not exist are told one by one: an object can have ten thousand, each a guess and a line of log. */
const MOST = 20;

/** What is wrong with annotations whose names are not known, without their prefix; of many, how many more there are. */
export function fewOf(
  unknown: readonly (readonly [field: string, value: string])[],
  problemOf: (field: string, value: string) => Problem,
): Problem[] {
  const told = unknown.slice(0, MOST).map(([field, value]) => problemOf(field, value));
  const more = unknown.length - told.length;
  if (more === 0) return told;
  const message = `has ${more} more annotations of tulle.dev that do not exist`;
  return [...told, { severity: 'error', field: 'annotations', value: '', message, meant: '' }];
}
