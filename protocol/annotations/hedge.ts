import type { Parsed } from './parsed.ts';

/** `after p95`, or `off`. */
export function parseHedge(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'hedge' };
  const quantile = Number(/^\s*after\s+p(\d{2}(?:\.\d+)?)\s*$/.exec(text)?.[1]);
  if (!(quantile >= 50 && quantile < 100))
    return {
      wrong: 'is not a hedge',
      meant: 'write "after pNN" with p50 to p99.9, like "after p95", or off',
    };
  return { hedge: { quantile: quantile / 100 } };
}
