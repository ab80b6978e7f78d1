import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { commands } from './commands.ts';

/** What a command prints about a file with this text, and the code that it exits with. */
async function run(t: TestContext, text: string, command: string, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-inject-'));
  const file = join(folder, 'pod.yaml');
  writeFileSync(file, text);
  let out = '';
  const notes: string[] = [];
  const writes = t.mock.method(process.stdout, 'write', (chunk: string) => {
    out += chunk;
    return true;
  });
  const errors = t.mock.method(console, 'error', (line: string) => notes.push(line));
  const before = process.exitCode;
  try {
    await commands().parseAsync([command, file, ...flags], { from: 'user' });
    return { out, notes, code: process.exitCode ?? 0 };
  } finally {
    process.exitCode = before;
    writes.mock.restore();
    errors.mock.restore();
    rmSync(folder, { recursive: true });
  }
}

const POD = 'kind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n    - name: a\n      image: a\n';

test('manifests are injected and taken back, and what became of each is told beside them', async (t) => {
  const injected = await run(t, POD, 'inject', '--image', 'mine:1', '--kubernetes-version', '1.29');
  assert.match(injected.out, /name: tulle-proxy\n +image: mine:1\n/);
  assert.doesNotMatch(injected.out, /preStop/);
  assert.deepEqual(injected.notes, ['Pod a: injected']);
  assert.equal(injected.code, 0);
  const back = await run(t, injected.out, 'uninject');
  assert.deepEqual(back, { out: POD, notes: ['Pod a: uninjected'], code: 0 });
});

test('a pod that cannot be injected exits 1, and is printed as it was', async (t) => {
  const text = POD.replace('- name: a', '- name: tulle-proxy');
  const { out, code, notes } = await run(t, text, 'inject');
  assert.equal(out, text);
  assert.equal(code, 1);
  assert.match(notes[0] ?? '', /^Pod a: refused: the container name tulle-proxy is kept/);
});

test('wrong flags and files are told', async (t) => {
  await assert.rejects(
    run(t, POD, 'inject', '--kubernetes-version', 'new'),
    /--kubernetes-version "new" is not a version/,
  );
  await assert.rejects(
    run(t, POD, 'inject', '--control-plane', 'x'),
    /--control-plane "x" is not an address/,
  );
  await assert.rejects(run(t, 'a: [', 'inject'), /this is not YAML/);
  await assert.rejects(commands().parseAsync(['uninject', '/nowhere.yaml'], { from: 'user' }), {
    message: '/nowhere.yaml cannot be read: ENOENT',
  });
});
