import { parseArgs } from 'node:util';

/** What one run of the bench does. */
export interface BenchOptions {
  /** Names of scenarios to run. */
  scenarios: readonly string[];
  /** Names of peers to run. */
  peers: readonly string[];
  /** How often every cell is measured; the rounds are interleaved. */
  rounds: number;
  /** Length of one measured load, in seconds. */
  seconds: number;
  /** Whether every scenario ran against every peer at full length, so that the result may be published. */
  whole: boolean;
}

/** Says what is wrong with the command line, in words for the terminal. */
export class UsageProblem extends Error {}

export const usage = `Usage: npm run bench -- [--only NAME[,NAME...]] [--rounds N] [--seconds N] [--quick]

  --only     scenarios and peers to run, mixed: --only 100b,mtls,tulle,envoy (repeatable)
  --rounds   rounds a cell (default 3), interleaved over scenarios and peers
  --seconds  length of one measured load (default 5)
  --quick    one round of 1 s: shows that everything works, and no figure to quote`;

function positive(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageProblem(`--${name}: "${text}" is not a whole number from 1`);
  }
  return value;
}

function chosen(wanted: ReadonlySet<string>, known: readonly string[]): readonly string[] {
  const some = known.filter((name) => wanted.has(name));
  return some.length > 0 ? some : known;
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageProblem((error as Error).message);
  }
}

/**
 * Reads the command line. `undefined` when help was asked for.
 * Throws `UsageProblem` on an unknown flag, name or value.
 */
export function readOptions(
  args: readonly string[],
  scenarios: readonly string[],
  peers: readonly string[],
): BenchOptions | undefined {
  const flags = readFlags(args);
  if (flags.help) return undefined;
  const wanted = new Set(
    (flags.only ?? []).flatMap((names) => names.split(',')).filter((name) => name !== ''),
  );
  for (const name of wanted) {
    if (scenarios.includes(name) || peers.includes(name)) continue;
    throw new UsageProblem(`--only: "${name}" is none of ${[...scenarios, ...peers].join(', ')}`);
  }
  const rounds = positive('rounds', flags.rounds, flags.quick ? 1 : 3);
  const seconds = positive('seconds', flags.seconds, flags.quick ? 1 : 5);
  return {
    scenarios: chosen(wanted, scenarios),
    peers: chosen(wanted, peers),
    rounds,
    seconds,
    whole: wanted.size === 0 && rounds >= 3 && seconds >= 5,
  };
}
