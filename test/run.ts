import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import { type Leftover, leftovers, MARK } from './leftovers.ts';
import { CLUSTER_PREREQUISITES, ensurePrerequisites } from './prerequisites.ts';

/**
 * `npm test [WORD ...]`: every test, or those of files whose path has one of the words.
 * `npm run test:unit`: without those that start processes (*.e2e.test.ts) or take whole protocols through whole
 * sidecars (test/*.test.ts, test/grpc, test/http2, test/resilience, test/websocket), for a quick look between two edits. Fails when a test fails, is
 * skipped or marked as to do, when a file has no test, when none ran, when a file's process stays after its tests
 * (`--file-seconds=N`: so long is waited), and when a process is left behind.
 * `npm run test:kubernetes`: those that need a Kubernetes (test/kubernetes), which `npm test` runs too where it is root:
 * elsewhere the closing lines say that they were left out. Only here is the cluster of $KUBECONFIG used, if there is
 * one: `npm test` must not install anything into a cluster that somebody works with.
 */
const FILE_TIMEOUT_MS = 600_000;
/** Processes that were told to end may still be ending. */
const ENDING_MS = 5_000;
const MAX_OUTPUT = 64 * 1024;
/** The conformance suite is one file. */
const CLUSTER_FILE_TIMEOUT_MS = 1_200_000;
const CLUSTER_TIMEOUT_MS = 2_400_000;

interface Limits {
  readonly fileMs?: number;
  /** For all files together. */
  readonly allMs?: number;
}

const unitOnly = process.argv.includes('--unit');
const kubernetesOnly = process.argv.includes('--kubernetes');
const [, fileSeconds] = /^--file-seconds=(\d+)$/m.exec(process.argv.slice(2).join('\n')) ?? [];
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const files = globSync('**/*.test.ts', { exclude: ['**/node_modules/**', 'dist/**', '.cache/**'] })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const inProcess = files.filter((file) => !file.endsWith('.e2e.test.ts'));
const unit = unitOnly && words.length === 0 ? inProcess.filter((file) => !isThorough(file)) : inProcess;
const thorough = unitOnly ? [] : files.filter((file) => file.endsWith('.e2e.test.ts'));
const endToEnd = thorough.filter((file) => !needsKubernetes(file));
const isRoot = process.getuid?.() === 0;
const given = kubernetesOnly ? process.env.KUBECONFIG : undefined;
// With a cluster that is given, there is nothing to be told of those that are started here.
const kubernetes = thorough.filter(
  (file) => needsKubernetes(file) && (given === undefined || !file.startsWith('test/kubernetes/cluster/')),
);
/** Whether a cluster can be had. */
const hasCluster = isRoot || given !== undefined;

if (!unitOnly && !kubernetesOnly) ensurePrerequisites();
// Hundreds of processes compile the same modules: half of what a quick look costs.
if (unitOnly) process.env.NODE_COMPILE_CACHE ??= resolve('.cache/compile');
if (kubernetes.length > 0 && (kubernetesOnly || isRoot)) ensurePrerequisites(CLUSTER_PREREQUISITES);
const mark = randomUUID();
process.env[MARK] = mark;
const startMs = performance.now();

let passed = 0;
const problems: string[] = [];
/** What test files wrote; shown when they fail. */
const outputs = new Map<string, string>();

if (!kubernetesOnly) {
  // One more than there are cores: some wait for most of their time.
  await runFiles(unit, availableParallelism() + 1);
  // One at a time: each starts a mesh of its own.
  await runFiles(endToEnd, 1);
}
if (kubernetes.length > 0 && hasCluster) await runOnCluster();
for (const { pid, command } of await waitForLeftovers()) {
  problems.push(`a process was left behind: ${pid} ${command}`);
  process.kill(pid, 'SIGKILL');
}
if (passed === 0) problems.push('no test ran');

if (kubernetes.length > 0 && !hasCluster) {
  const line = `left out: ${kubernetes.length} files of test/kubernetes need root (sudo test/kubernetes/run)`;
  if (kubernetesOnly) problems.push(line);
  else console.log(`\n# ${line}`);
}
for (const problem of problems) console.log(`\n${problem}`);
console.log(
  `\n# pass ${passed}\n# fail ${problems.length}\n# seconds ${seconds(performance.now() - startMs)}`,
);
console.log(`${passed} passed, ${problems.length} failed`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Whether a file's tests take a protocol through whole sidecars: they take longer than one waits between two edits. */
function isThorough(file: string): boolean {
  return /^test\/((grpc|http2|resilience|websocket)\/)?[^/]+$/.test(file);
}

/** Whether a file's tests run on a cluster. */
function needsKubernetes(file: string): boolean {
  return /^test\/kubernetes\/.*\.e2e\.test\.ts$/.test(file);
}

/** One file at a time on one cluster, all within a limit. What goes wrong with the cluster is a problem as a test is. */
async function runOnCluster(): Promise<void> {
  const { withCluster } = await import('./kubernetes/with-cluster.ts');
  try {
    await withCluster(given, console.log, () =>
      runFiles(kubernetes, 1, { fileMs: CLUSTER_FILE_TIMEOUT_MS, allMs: CLUSTER_TIMEOUT_MS }),
    );
  } catch (error) {
    problems.push(reason(error));
  }
}

async function runFiles(files: readonly string[], concurrency: number, limits: Limits = {}): Promise<void> {
  const { fileMs = fileSeconds === undefined ? FILE_TIMEOUT_MS : Number(fileSeconds) * 1000, allMs } = limits;
  const untilMs = performance.now() + (allMs ?? Number.POSITIVE_INFINITY);
  const waiting = [...files];
  const runner = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      await runFile(file, Math.floor(Math.min(fileMs, untilMs - performance.now())));
  };
  await Promise.all(Array.from({ length: concurrency }, runner));
}

/** Node limits each test by `timeout`, but not a process that stays when all its tests are over. */
async function runFile(path: string, limitMs: number): Promise<void> {
  if (limitMs <= 0) {
    problems.push(`${path}: there was no time left for it`);
    return;
  }
  const stream = run({
    files: [path],
    timeout: limitMs,
    isolation: 'process',
    signal: AbortSignal.timeout(limitMs + ENDING_MS),
  });
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
    const why = isTimeout(error)
      ? `its process did not end within ${seconds(limitMs + ENDING_MS)} s, be it that all tests in it are over`
      : reason(error.cause ?? error);
    problems.push(`${shown(file)}: ${name}\n${indent(why)}\n${indent(output)}`.trimEnd());
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

/** Node gives the reason of the signal as it is, or as the cause of its own error. */
function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'TimeoutError' || isTimeout(error.cause);
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
  return error instanceof Error ? (error.stack ?? error.message) : inspect(error);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}
