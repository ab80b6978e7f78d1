import { DURATION_MEANT, parseDuration } from '../duration.ts';
import type { Parsed } from './parsed.ts';

/** `2s`, or `none`. */
export function parseTimeout(
  text: string,
  field: 'timeoutMs' | 'tryTimeoutMs' | 'idleTimeoutMs' | 'connectTimeoutMs',
): Parsed {
  if (text.trim() === 'none') return { unset: field };
  const ms = parseDuration(text);
  return ms === undefined
    ? { wrong: 'is not a duration', meant: `${DURATION_MEANT}, or none` }
    : { [field]: ms };
}
