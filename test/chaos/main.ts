import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FAULTS } from './faults/all.ts';
import type { Fault } from './faults/fault.ts';
import { type ChaosOptions, chaosOptions } from './options.ts';
import { failureText, keepEvidence, neverStruck, recordOf, type StormRecord, summaryOf } from './report.ts';
import { runStorm } from './storm.ts';

const SEEDS = 2 ** 31;

/** `npm run chaos`: storms with new seeds until the time is over, or one with a given seed. Exit code 1 if any failed. */
async function main(args: readonly string[]): Promise<void> {
  const options = chaosOptions(args, () => Math.floor(Math.random() * SEEDS));
  const faults = chosen(options);
  const startMs = performance.now();
  const records: StormRecord[] = [];
  let { seed } = options;
  do {
    records.push(
      await storm(seed, faults, options).catch((error: Error) => {
        throw new Error(`the storm of seed ${seed} could not be run: ${error.stack}`);
      }),
    );
    if (options.results !== undefined) keep(options, records, (performance.now() - startMs) / 60_000);
    seed = (seed + 1) % SEEDS;
  } while (performance.now() - startMs < options.minutes * 60_000);
  const failed = records.filter(({ passed }) => !passed);
  console.log(
    `${records.length} storms, ${failed.length} failed${failed.length > 0 ? `: seeds ${failed.map((one) => one.seed).join(' ')}` : ''}`,
  );
  const idle = neverStruck(records);
  if (idle.length > 0) console.log(`BROKEN FAULTS, which nothing ever felt: ${idle.join(', ')}`);
  process.exitCode = failed.length === 0 && idle.length === 0 ? 0 : 1;
}

async function storm(seed: number, faults: readonly Fault[], options: ChaosOptions): Promise<StormRecord> {
  const result = await runStorm({
    seed,
    faults,
    stormMs: options.stormSeconds * 1000,
    leafLifeMs: options.leafSeconds * 1000,
    loadShare: options.load,
    withDisk: isRoot(),
    say: (line) => console.log(line),
  });
  const record = recordOf(result);
  console.log(`seed ${seed} ${record.passed ? 'passed' : 'failed'}: ${summaryOf(result, record)}`);
  if (!record.passed) {
    const folder = join(options.logs, String(seed));
    keepEvidence(result, folder);
    console.log(failureText(result, folder, replayOf(seed, options)));
  }
  result.mesh.remove();
  return record;
}

/** The faults that are asked for and can be made here. Throws an Error that names one that there is not. */
function chosen({ faults }: ChaosOptions): readonly Fault[] {
  const unknown = faults.find((name) => FAULTS.every((fault) => fault.name !== name));
  if (unknown !== undefined)
    throw new Error(`there is no fault "${unknown}"; there are ${FAULTS.map(({ name }) => name).join(', ')}`);
  const wanted = faults.length === 0 ? FAULTS : FAULTS.filter(({ name }) => faults.includes(name));
  if (isRoot()) return wanted;
  const left = wanted.filter(({ aim }) => aim === 'disk').map(({ name }) => name);
  if (left.length > 0)
    console.log(
      `LEFT OUT, since it needs root: ${left.join(', ')}. Other schedules than as root follow from a seed.`,
    );
  return wanted.filter(({ name }) => !left.includes(name));
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function replayOf(seed: number, { faults, stormSeconds, leafSeconds, load }: ChaosOptions): string {
  const only = faults.length > 0 ? ` --faults ${faults.join(',')}` : '';
  return `npm run chaos -- --seed ${seed} --storm ${stormSeconds} --leaf-life ${leafSeconds} --load ${load}${only}`;
}

function keep(
  { results, stormSeconds }: ChaosOptions,
  storms: readonly StormRecord[],
  minutes: number,
): void {
  if (results === undefined) return;
  mkdirSync(dirname(results), { recursive: true });
  const kept = {
    minutes: Number(minutes.toFixed(1)),
    stormSeconds,
    passed: storms.every(({ passed }) => passed),
    storms,
  };
  writeFileSync(results, `${JSON.stringify(kept, null, 2)}\n`);
}

// All that a storm started goes with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
process.exit();
