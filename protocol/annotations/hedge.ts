import { parseMethods } from './methods.ts';
import type { Parsed } from './parsed.ts';

const FORM = /^after\s+p(\d{2}(?:\.\d+)?)(?:\s+for\s+(\S.*))?$/;

/** `after p95`, with more `for GET,POST`; or `off`. */
export function parseHedge(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'hedge' };
  const [, percent, named] = FORM.exec(text.trim()) ?? [];
  const quantile = Number(percent);
  const methods = named === undefined ? undefined : parseMethods(named);
  if (!(quantile >= 50 && quantile < 100) || (named !== undefined && methods === undefined))
    return {
      wrong: 'is not a hedge',
      meant: 'write "after pNN" with p50 to p99.9, like "after p95" or "after p95 for GET,POST", or off',
    };
  return { hedge: { quantile: quantile / 100, ...(methods && { methods }) } };
}
