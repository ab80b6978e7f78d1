import type { TrafficSettings } from '../traffic-policy.ts';

/** What is wrong with a value: "is not ...", and how it should be written. */
export interface Wrong {
  readonly wrong: string;
  readonly meant: string;
}

/** A value like `off`: what a policy set before does not hold. */
interface Unset {
  readonly unset:
    | 'timeoutMs'
    | 'tryTimeoutMs'
    | 'idleTimeoutMs'
    | 'connectTimeoutMs'
    | 'hedge'
    | 'cache'
    | 'healthCheck'
    | 'circuitBreaker'
    | 'faults'
    | 'directResponse'
    | 'rewrites'
    | 'sticky';
}

/** The settings that a value means, or what is wrong with it. */
export type Parsed = Partial<TrafficSettings> | Unset | Wrong;

export function isWrong(parsed: Parsed): parsed is Wrong {
  return 'wrong' in parsed;
}

/** The settings with what was read. */
export function settled(
  settings: TrafficSettings,
  parsed: Partial<TrafficSettings> | Unset,
): TrafficSettings {
  if (!('unset' in parsed)) return { ...settings, ...parsed };
  const { [parsed.unset]: _unset, ...rest } = settings;
  return rest;
}
