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
  /** Length of the soak that is done instead of everything else, in seconds. */
  soakSeconds?: number;
  /** Whether every scenario ran against every peer at full length, so that the result may be published. */
  whole: boolean;
}

/** Says what is wrong with the command line, in words for the terminal. */
export class UsageProblem extends Error {}

export const usage = `Usage: npm run bench -- [--only NAME[,NAME...]] [--rounds N] [--seconds N] [--quick]
       npm run bench -- --soak 30m [--only PEER[,PEER...]]

  --only     scenarios and peers to run, mixed: --only 100b,mtls,tulle,envoy (repeatable)
  --rounds   rounds a cell (default 3), interleaved over scenarios and peers
  --seconds  length of one measured load (default 4)
  --quick    one round of 1 s: shows that everything works, and no figure to quote
  --soak     a mixed load on all peers at once for so long (90s, 30m, 2h), and nothing else: memory by the minute`;

function positive(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageProblem(`--${name}: "${text}" is not a whole number from 1`);
  }
  return value;
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function duration(name: string, text: string): number {
  const [, count, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (secondsOf[unit ?? ''] ?? Number.NaN);
  if (!(seconds > 0)) throw new UsageProblem(`--${name}: "${text}" is no length of time like 90s, 30m or 2h`);
  return seconds;
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
        soak: { type: 'string' },
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
  const seconds = positive('seconds', flags.seconds, flags.quick ? 1 : 4);
  return {
    scenarios: chosen(wanted, scenarios),
    peers: chosen(wanted, peers),
    rounds,
    seconds,
    ...(flags.soak === undefined ? {} : { soakSeconds: duration('soak', flags.soak) }),
    whole: flags.soak === undefined && wanted.size === 0 && rounds >= 3 && seconds >= 4,
  };
}
