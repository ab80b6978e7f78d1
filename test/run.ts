import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { leftovers, MARK } from './leftovers.ts';
import { ensurePrerequisites } from './prerequisites.ts';

/**
 * `npm test`: every test; `npm run test:unit`: those that start no processes. Fails when a test fails, is
 * skipped or marked as to do, when none ran, and when a process is left behind.
 */
const unitOnly = process.argv.includes('--unit');
const only = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const TIMEOUT_MS = 300_000;

const files = globSync('**/*.test.ts', { exclude: ['node_modules/**', 'dist/**', '.cache/**'] })
  .filter((file) => !unitOnly || !file.endsWith('.e2e.test.ts'))
  .filter((file) => only.length === 0 || only.some((word) => file.includes(word)))
  .sort();

if (!unitOnly) ensurePrerequisites();
const mark = randomUUID();
process.env[MARK] = mark;

let passed = 0;
const problems: string[] = [];
const stream = run({ files, concurrency: 2, timeout: TIMEOUT_MS, isolation: 'process', forceExit: false });
stream.on('test:pass', ({ name, nesting, file, skip, todo, details }) => {
  if (details.type === 'suite') return;
  if (skip !== undefined || todo !== undefined) problems.push(`${shown(file)} ${name}: skipped or to do`);
  else if (nesting > 0 || name !== file) passed++;
});
stream.on('test:fail', ({ name, file, details }) => {
  if (details.type === 'suite') return;
  const { cause } = details.error;
  problems.push(`${shown(file)} ${name}\n${indent(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? details.error.message))}`);
  console.log(`FAILED ${shown(file)} ${name}`);
});
stream.on('test:stderr', ({ message }) => process.stderr.write(message));
stream.on('test:diagnostic', ({ message, file }) => {
  if (file !== undefined && /^stricter|^measured/.test(message)) console.log(`  ${shown(file)} ${message}`);
});
stream.on('test:summary', ({ file, counts, duration_ms }) => {
  if (file !== undefined) console.log(`${counts.passed === counts.tests ? 'ok' : 'NOT OK'} ${shown(file)} (${counts.passed} of ${counts.tests}, ${(duration_ms / 1000).toFixed(1)} s)`);
});
for await (const _event of stream);

const left = await waitForLeftovers();
for (const process of left) problems.push(`a process was left behind: ${process}`);
if (passed === 0) problems.push('no test ran');
for (const problem of problems) console.log(`\n${problem}`);
console.log(`\n${passed} passed, ${problems.length} failed`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Processes that were told to end may still be ending. */
async function waitForLeftovers(): Promise<string[]> {
  for (let look = 0; look < 50; look++) {
    if (leftovers(mark).length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return leftovers(mark);
}

function shown(file: string | undefined): string {
  return (file ?? '').replace(`${process.cwd()}/`, '');
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
