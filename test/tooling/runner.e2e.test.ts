import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './repository.ts';

const PASSES = "import { test } from 'node:test';\ntest('passes', () => {});\n";

/** Runs the test runner in a folder with these files. */
function runTests(
  files: Readonly<Record<string, string>>,
  ...args: string[]
): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-runner-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    // node:test does not run inside of itself; this is a run of its own.
    const { NODE_TEST_CONTEXT: _inner, ...env } = process.env;
    const argv = [join(ROOT, 'test/run.ts'), ...args];
    const { status, stdout } = spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8', env });
    return { status, output: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('passes, and tells the counts', () => {
  const { status, output } = runTests({ 'a.test.ts': PASSES, 'b.e2e.test.ts': PASSES });
  assert.match(output, /# pass 2\n# fail 0\n# seconds [\d.]+\n2 passed, 0 failed\n$/);
  assert.equal(status, 0);
});

test('--unit leaves out tests that start processes', () => {
  const { output } = runTests({ 'a.test.ts': PASSES, 'b.e2e.test.ts': PASSES }, '--unit');
  assert.match(output, /1 passed, 0 failed\n$/);
});

test('a word chooses files by their path', () => {
  const { output } = runTests({ 'left.test.ts': PASSES, 'right.test.ts': PASSES }, 'left');
  assert.match(output, /1 passed, 0 failed\n$/);
});

test('fails with the reason and the output of a test that fails', () => {
  const fails = `${PASSES}test('falls', () => { console.error('its words'); throw new Error('the reason'); });\n`;
  const { status, output } = runTests({ 'a.test.ts': fails });
  assert.match(output, /a\.test\.ts: falls\n.*the reason/);
  assert.match(output, /its words/);
  assert.match(output, /1 passed, 1 failed\n$/);
  assert.equal(status, 1);
});

test('fails when a file cannot be loaded', () => {
  const { status, output } = runTests({ 'a.test.ts': PASSES, 'b.test.ts': "import './none.ts';\n" });
  assert.match(output, /ERR_MODULE_NOT_FOUND/);
  assert.match(output, /1 passed, 1 failed\n$/);
  assert.equal(status, 1);
});

test('fails when no test ran, and when a file has none', () => {
  const none = runTests({});
  assert.match(none.output, /no test ran\n/);
  assert.equal(none.status, 1);
  const empty = runTests({ 'a.test.ts': PASSES, 'b.test.ts': 'console.log(1);\n' });
  assert.match(empty.output, /b\.test\.ts: there is no test in it\n/);
  assert.equal(empty.status, 1);
});

for (const [what, text] of Object.entries({
  'a skipped test': "test.skip('later', () => {});\n",
  'a skipped suite': "describe.skip('later', () => { test('inner', () => {}); });\n",
  'a test to do': "test.todo('later');\n",
  'a test to do that fails': "test('later', { todo: true }, () => { throw new Error('not yet'); });\n",
  'a test that skips itself': "test('later', (context) => context.skip('no'));\n",
})) {
  test(`fails on ${what}`, () => {
    const head =
      "import { describe, test } from 'node:test';\ndescribe('some', () => { test('passes', () => {}); });\n";
    const { status, output } = runTests({ 'a.test.ts': head + text });
    assert.match(output, /a\.test\.ts: skipped or to do: later\n/);
    assert.match(output, /1 passed, 1 failed\n$/);
    assert.equal(status, 1);
  });
}

test('fails when the process of a file stays after its tests, and goes on with the others', () => {
  const stays = `${PASSES}setInterval(() => {}, 1_000);\n`;
  const { status, output } = runTests({ 'a.test.ts': stays, 'b.test.ts': PASSES }, '--file-seconds=1');
  assert.match(output, /a\.test\.ts: a\.test\.ts\n +its process did not end within [\d.]+ s/);
  assert.match(output, /2 passed, 1 failed\n$/);
  assert.equal(status, 1);
});

test('fails when a process is left behind, even one without a parent, and ends it', () => {
  const leaves = `import { spawn } from 'node:child_process';
import { test } from 'node:test';
test('leaves a process', () => {
  spawn('sh', ['-c', 'sleep 4242 & :'], { detached: true, stdio: 'ignore' }).unref();
});
`;
  const { status, output } = runTests({ 'a.test.ts': leaves });
  const [, pid] = /a process was left behind: (\d+) sleep 4242\n/.exec(output) ?? [];
  assert.equal(status, 1, output);
  assert.equal(commandOf(pid ?? ''), '', output);
});

/** Empty for a process that has ended, even if its parent has not asked for its status yet. */
function commandOf(pid: string): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
