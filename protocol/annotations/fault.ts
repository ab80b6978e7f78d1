import { parseDuration } from '../duration.ts';
import { TOKEN } from '../header-rules.ts';
import { showValue } from '../problem.ts';
import type { Fault } from '../steering.ts';
import { parseAnswerStatus } from './answer-status.ts';
import type { Parsed } from './parsed.ts';
import { parsePercentage } from './percentage.ts';

/** A request that is held back longer is nothing that a caller would wait for. */
const LONGEST_MS = 5 * 60_000;
const MOST = 16;
const MEANT =
  'write "delay DURATION PERCENT%" or "abort STATUS PERCENT%", with "if header NAME: VALUE" if wanted, like "delay 200ms 10%; abort 503 1% if header x-chaos: on"; STATUS is 400 to 599 or of gRPC, like unavailable; several faults are separated by ;';

/** `delay 200ms 10%; abort 503 1% if header x-chaos: on`, or `off`. How often must be said. */
export function parseFault(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'faults' };
  const parts = text.split(';').map((part) => part.trim());
  if (parts.length > MOST) return { wrong: `has ${parts.length} faults, more than ${MOST}`, meant: MEANT };
  const faults: Fault[] = [];
  for (const part of parts) {
    const fault = parseOne(part);
    if (fault === undefined) return { wrong: `has ${showValue(part)}, which is no fault`, meant: MEANT };
    faults.push(fault);
  }
  return { faults };
}

function parseOne(part: string): Fault | undefined {
  const [, kind = '', what = '', percentage = '', name, value] =
    /^(delay|abort)\s+(\S+)\s+(\S+)(?:\s+if\s+header\s+([^\s:]+)(?:\s*:\s*(.+))?)?$/.exec(part) ?? [];
  const share = parsePercentage(percentage);
  if (share === undefined || (name !== undefined && !TOKEN.test(name))) return undefined;
  const header = name && { name: name.toLowerCase(), ...(value !== undefined && { value }) };
  const condition = { share, ...(header && { header }) };
  if (kind === 'delay') {
    const delayMs = parseDuration(what);
    return delayMs === undefined || delayMs > LONGEST_MS ? undefined : { delayMs, ...condition };
  }
  const abort = parseAnswerStatus(what, 400);
  return abort && { abort, ...condition };
}
