/** The middle of several measurements and how far they lie apart. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The median with the smallest and the largest value. Throws on an empty list. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const min = sorted[0];
  const max = sorted.at(-1);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (min === undefined || max === undefined || upper === undefined || lower === undefined) {
    throw new Error('no values to take a median of');
  }
  return { median: (lower + upper) / 2, min, max };
}
