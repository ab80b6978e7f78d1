import type { PolicyNote } from '../telemetry/explanation.ts';

/** Envoy's default. */
const PERCENT = 50;

/** Too few endpoints can be used to carry what all did: all get requests, since some of those given up may work. */
export interface Panic {
  readonly usable: number;
  readonly all: number;
  /** For each request: made once. */
  readonly note: PolicyNote;
}

/** Whether fewer than `percent` of all endpoints are usable; none at all is always too few. */
export function panicOf(usable: number, all: number, percent = PERCENT): Panic | undefined {
  if (all === 0 || (usable > 0 && usable * 100 >= percent * all)) return undefined;
  const threshold = usable === 0 ? '' : `, fewer than panic ${percent}%`;
  const detail = `only ${usable} of ${all} endpoints can be used${threshold}: all get requests`;
  return { usable, all, note: { policy: 'balance', decision: 'panic', detail } };
}
