import type { TrafficSettings } from '../traffic-policy.ts';

/** What is wrong with a value: "is not ...", and how it should be written. */
export interface Wrong {
  readonly wrong: string;
  readonly meant: string;
}

/** The settings that a value means, or what is wrong with it. */
export type Parsed = Partial<TrafficSettings> | Wrong;

export function isWrong(parsed: Parsed): parsed is Wrong {
  return 'wrong' in parsed;
}
