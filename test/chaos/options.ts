import { parseArgs } from 'node:util';

export interface ChaosOptions {
  /** No storm begins after so many minutes; 0: one storm. */
  readonly minutes: number;
  readonly seed: number;
  readonly stormSeconds: number;
  /** Names of faults; empty: all. */
  readonly faults: readonly string[];
  /** Where seeds and results are written. */
  readonly results?: string;
  readonly logs: string;
  readonly leafSeconds: number;
  /** Of the usual load. */
  readonly load: number;
}

const MEANT =
  'npm run chaos -- [--minutes N] [--seed N] [--storm SECONDS] [--faults NAME,NAME] [--results FILE] [--logs FOLDER] [--leaf-life SECONDS] [--load SHARE]';

/** Reads the flags of `npm run chaos`. Throws an Error that names what is wrong. */
export function chaosOptions(args: readonly string[], freshSeed: () => number): ChaosOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ minutes: text, seed: text, storm: text, faults: text },
      ...{ results: text, logs: text, 'leaf-life': text, load: text },
    },
  });
  return {
    minutes: number('--minutes', values.minutes, 0, 0, 1440),
    seed: number('--seed', values.seed, freshSeed(), 0, 2 ** 32 - 1),
    stormSeconds: number('--storm', values.storm, 120, 5, 3600),
    faults: values.faults?.split(',') ?? [],
    ...(values.results !== undefined && { results: values.results }),
    logs: values.logs ?? '.cache/chaos',
    leafSeconds: number('--leaf-life', values['leaf-life'], 40, 5, 86_400),
    load: number('--load', values.load, 1, 0.05, 10),
  };
}

function number(
  flag: string,
  text: string | undefined,
  initial: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return initial;
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new Error(`${flag} "${text}" is not a number from ${least} to ${most}: ${MEANT}`);
  return value;
}
