import { seeded } from '../../test/fixture/seeded.ts';
import { type Outcome, type Rules, simulate } from './simulate.ts';

// node bench/retry-chain/main.ts [SEED]: the table of docs/traffic.md, "One owner of retries in a chain".

const BUDGET = { ratio: 0.2, perSecond: 10 };
const RULES: readonly Rules[] = [
  { name: '2 retries at each hop, no budget', attempts: 2, marks: false },
  { name: 'a budget of 20 % + 10/s at each hop', attempts: 2, budget: BUDGET, marks: false },
  { name: 'marks alone', attempts: 2, marks: true },
  { name: 'Tulle: budget and marks', attempts: 2, budget: BUDGET, marks: true },
];

const DEPTH = 5;
const CASES: readonly { name: string; fails: (hop: number) => number }[] = [
  { name: 'hop 5 fails all', fails: (hop) => (hop === DEPTH ? 1 : 0) },
  { name: 'hop 5 fails half', fails: (hop) => (hop === DEPTH ? 0.5 : 0) },
  { name: 'hop 3 fails 2 %', fails: (hop) => (hop === 3 ? 0.02 : 0) },
  { name: 'every hop fails 1 %', fails: () => 0.01 },
];

/** Each case under each of the rules, from one seed. */
export function runAll(seed: number): { case: string; rules: string; outcome: Outcome }[] {
  const chain = { depth: DEPTH, requests: 30_000, perSecond: 1000 };
  return CASES.flatMap(({ name, fails }) =>
    RULES.map((rules) => ({
      case: name,
      rules: rules.name,
      outcome: simulate({ ...chain, fails }, rules, seeded(seed)),
    })),
  );
}

function print(seed: number): void {
  console.log('| failure | rules | requests at hop 5 for one at hop 1 | succeeded |\n|---|---|--:|--:|');
  for (const { case: failure, rules, outcome } of runAll(seed)) {
    const last = outcome.load.at(-1) ?? 0;
    console.log(`| ${failure} | ${rules} | ${last.toFixed(2)} | ${(outcome.succeeded * 100).toFixed(2)} % |`);
  }
}

if (import.meta.main) print(Number(process.argv[2] ?? 1));
