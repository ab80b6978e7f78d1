import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Problem } from '../protocol/problem.ts';
import { checkCommand, showProblem } from './check.ts';

const GOOD = 'services:\n  - { name: orders, port: 80 }\n';

/** What `tulle check` prints about a file, and the code that it exits with. */
function check(t: TestContext, text: string, options: { json?: boolean } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-check-'));
  const printed: string[] = [];
  const log = t.mock.method(console, 'log', (line: string) => printed.push(line));
  const before = process.exitCode;
  try {
    const file = join(folder, 'mesh.yaml');
    writeFileSync(file, text);
    checkCommand(file, options);
    const lines = printed.join('\n').replaceAll(file, 'mesh.yaml').split('\n');
    return { lines, code: process.exitCode ?? 0 };
  } finally {
    process.exitCode = before;
    log.mock.restore();
    rmSync(folder, { recursive: true });
  }
}

const PROBLEM: Problem = {
  severity: 'error',
  file: 'm.yaml',
  line: 2,
  column: 5,
  field: 'a',
  value: '"x"',
  message: 'is wrong',
  meant: '',
};

test('a file without problems is ok, and counted', (t) => {
  assert.deepEqual(check(t, GOOD), {
    lines: ['mesh.yaml: ok, 1 service, 0 routes (0 errors, 0 warnings)'],
    code: 0,
  });
});

test('an error is shown with its line and a caret below its place, and exits 1', (t) => {
  assert.deepEqual(check(t, 'services:\n  - { name: orders, port: http }\n'), {
    lines: [
      'error mesh.yaml:2:27 services[0].port: "http" is not a port number; write a whole number from 1 to 65535, like 8080',
      '      - { name: orders, port: http }',
      '                              ^',
      'mesh.yaml: 1 error, 0 warnings',
    ],
    code: 1,
  });
});

test('a wrong annotation is an error, though the mesh could run on', (t) => {
  const { lines, code } = check(
    t,
    'services: [{ name: a, port: 1, annotations: { tulle.dev/mtls: stict } }]',
  );
  assert.equal(code, 1);
  assert.equal(lines.at(-1), 'mesh.yaml: 1 error, 0 warnings');
});

test('warnings alone exit 0', (t) => {
  const { lines, code } = check(t, 'services: [{ name: a, port: 1, annotations: { tulle.dev/cache: 60s } }]');
  assert.equal(code, 0);
  assert.match(
    lines[0] ?? '',
    /^warning mesh\.yaml:1:64 services\[0\]\.annotations\.tulle\.dev\/cache: "60s"/,
  );
  assert.equal(lines.at(-1), 'mesh.yaml: ok, 1 service, 0 routes (0 errors, 1 warning)');
});

test('as JSON for machines', (t) => {
  const good = check(t, GOOD, { json: true });
  assert.deepEqual(JSON.parse(good.lines.join('\n')), { ok: true, problems: [] });
  assert.equal(good.code, 0);
  const bad = check(t, 'trustDomain: "?"', { json: true });
  assert.equal(bad.code, 1);
  assert.deepEqual(JSON.parse(bad.lines.join('\n')), {
    ok: false,
    problems: [
      {
        severity: 'error',
        file: 'mesh.yaml',
        line: 1,
        column: 14,
        field: 'trustDomain',
        value: '"?"',
        message: 'is not a trust domain',
        meant: 'write a name like example.test',
      },
    ],
  });
});

test('a file that cannot be read is told with the reason', () => {
  const file = join(tmpdir(), 'tulle-check-none', 'mesh.yaml');
  assert.throws(() => checkCommand(file, {}), { message: `${file} cannot be read: ENOENT` });
  assert.throws(() => checkCommand(tmpdir(), {}), { message: `${tmpdir()} cannot be read: EISDIR` });
});

test('a secret is not shown by way of the line that it stands in', (t) => {
  const texts = [
    'quotas: { store: "reddis://user:hunter2@redis:6379" }',
    'quotas: { store: hunter2 }',
    'quotas: { stor: x, store: "redis://user:hunter2@redis:6379" }',
    'services: [{ name: a, port: 1, annotations: { tulle.dev/redis-password: hunter2 } }]',
  ];
  for (const text of texts) {
    for (const json of [false, true]) {
      const { lines, code } = check(t, text, { json });
      assert.equal(code, 1);
      assert.doesNotMatch(lines.join('\n'), /hunter2/, text);
    }
  }
});

test('a problem without a place, or beyond the end of the file, is shown alone', () => {
  const { line: _line, column: _column, ...nowhere } = PROBLEM;
  assert.equal(showProblem(nowhere, ['a: x']), 'error m.yaml a: "x" is wrong');
  assert.equal(showProblem(PROBLEM, ['one line']), 'error m.yaml:2:5 a: "x" is wrong');
});

test('of a line of a megabyte the part around the problem is shown', () => {
  const line = `${'a'.repeat(500_000)}X${'b'.repeat(500_000)}`;
  const shown = showProblem({ ...PROBLEM, line: 1, column: 500_001 }, [line]).split('\n');
  assert.equal(shown.length, 3);
  assert.ok((shown[1]?.length ?? 0) < 200 && (shown[2]?.length ?? 0) < 200);
  assert.equal(shown[1]?.[shown[2]?.indexOf('^') ?? 0], 'X');
});

test('a line with commands to the terminal in it shows none, and keeps its places', () => {
  const shown = showProblem({ ...PROBLEM, line: 1, column: 7 }, ['a:\t\u001b[2Jx']).split('\n');
  assert.doesNotMatch(shown.join(''), /\p{Cc}/u);
  assert.equal(shown[1]?.[shown[2]?.indexOf('^') ?? 0], 'J');
});
