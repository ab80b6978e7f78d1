import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { run } from 'node:test';
import { type Leftover, leftovers, MARK } from './leftovers.ts';
import { ensurePrerequisites } from './prerequisites.ts';

/**
 * `npm test [WORD ...]`: every test, or those of files whose path has one of the words.
 * `npm run test:unit`: without those that start processes (*.e2e.test.ts) or take whole protocols through whole
 * sidecars (test/grpc, test/http2, test/websocket), for a quick look between two edits. Fails when a test fails, is
 * skipped or marked as to do, when a file has no test, when none ran, and when a process is left behind.
 */
const FILE_TIMEOUT_MS = 600_000;
/** Processes that were told to end may still be ending. */
const ENDING_MS = 5_000;
const MAX_OUTPUT = 64 * 1024;

const unitOnly = process.argv.includes('--unit');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const files = globSync('**/*.test.ts', { exclude: ['**/node_modules/**', 'dist/**', '.cache/**'] })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const inProcess = files.filter((file) => !file.endsWith('.e2e.test.ts'));
const unit = unitOnly && words.length === 0 ? inProcess.filter((file) => !isThorough(file)) : inProcess;
const endToEnd = unitOnly ? [] : files.filter((file) => file.endsWith('.e2e.test.ts'));

if (!unitOnly) ensurePrerequisites();
const mark = randomUUID();
process.env[MARK] = mark;
const startMs = performance.now();

let passed = 0;
const problems: string[] = [];
/** What test files wrote; shown when they fail. */
const outputs = new Map<string, string>();

await runFiles(unit, availableParallelism());
// One at a time: each starts a mesh of its own.
await runFiles(endToEnd, 1);
for (const { pid, command } of await waitForLeftovers()) {
  problems.push(`a process was left behind: ${pid} ${command}`);
  process.kill(pid, 'SIGKILL');
}
if (passed === 0) problems.push('no test ran');

for (const problem of problems) console.log(`\n${problem}`);
console.log(
  `\n# pass ${passed}\n# fail ${problems.length}\n# seconds ${seconds(performance.now() - startMs)}`,
);
console.log(`${passed} passed, ${problems.length} failed`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Whether a file's tests take a protocol through whole sidecars: they take longer than one waits between two edits. */
function isThorough(file: string): boolean {
  return /^test\/(grpc|http2|websocket)\//.test(file);
}

async function runFiles(files: string[], concurrency: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({ files, concurrency, timeout: FILE_TIMEOUT_MS, isolation: 'process' });
  stream.on('test:pass', ({ name, file, skip, todo, details }) => {
    if (skip !== undefined || todo !== undefined) problems.push(`${shown(file)}: skipped or to do: ${name}`);
    else if (isFile(name, file)) problems.push(`${shown(file)}: there is no test in it`);
    else if (details.type !== 'suite') passed++;
  });
  stream.on('test:fail', ({ name, file, todo, details }) => {
    const { error } = details;
    if (todo !== undefined) {
      problems.push(`${shown(file)}: skipped or to do: ${name}`);
      return;
    }
    // A parent fails with its subtests: they were told.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return;
    console.log(`FAILED ${shown(file)}: ${name}`);
    const output = isFile(name, file) ? (outputs.get(shown(file)) ?? '') : '';
    problems.push(
      `${shown(file)}: ${name}\n${indent(reason(error.cause ?? error))}\n${indent(output)}`.trimEnd(),
    );
  });
  stream.on('test:stdout', ({ file, message }) => keep(file, message));
  stream.on('test:stderr', ({ file, message }) => keep(file, message));
  stream.on('test:diagnostic', ({ message, file }) => {
    if (file !== undefined && /^(stricter|measured)/.test(message))
      console.log(`  ${shown(file)}: ${message}`);
  });
  stream.on('test:summary', ({ file, counts, success, duration_ms }) => {
    if (file === undefined) return;
    const told = `${shown(file)} (${counts.passed} of ${counts.tests}, ${seconds(duration_ms)} s)`;
    console.log(
      success ? `ok ${told}` : `NOT OK ${told}\n${indent(outputs.get(shown(file)) ?? '')}`.trimEnd(),
    );
  });
  for await (const _event of stream);
}

function keep(file: string | undefined, message: string): void {
  const before = outputs.get(shown(file)) ?? '';
  if (before.length < MAX_OUTPUT) outputs.set(shown(file), before + message);
}

/** Node reports a file as a test of its own when it has none, or when it fails as a whole. */
function isFile(name: string, file: string | undefined): boolean {
  return shown(name) === shown(file);
}

async function waitForLeftovers(): Promise<Leftover[]> {
  const untilMs = performance.now() + ENDING_MS;
  for (;;) {
    const left = leftovers(mark);
    if (left.length === 0 || performance.now() > untilMs) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function shown(file: string | undefined): string {
  if (file === undefined) return '';
  return file.startsWith('/') ? relative(process.cwd(), file) : file;
}

function reason(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}
