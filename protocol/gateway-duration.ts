import { parseDuration } from './duration.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Longer ones make no difference to a request, and timers have an end. */
const LONGEST_MS = 24 * 3_600_000;

/**
 * A duration of the Gateway API in ms (GEP-2257: `1h30m`, `0s`), or undefined. What annotations take (`1.5s`) is
 * taken as well. More than a day is a day.
 */
export function parseGatewayDuration(text: string): number | undefined {
  if (!/^(\d{1,5}(h|m|s|ms)){1,4}$/.test(text)) return parseDuration(text);
  let ms = 0;
  for (const [, number, unit = ''] of text.matchAll(/(\d+)(ms|h|m|s)/g))
    ms += Number(number) * (UNITS[unit] ?? 0);
  return Math.min(ms, LONGEST_MS);
}
