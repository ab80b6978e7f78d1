import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem, type Problem, showValue, withoutCredentials } from './problem.ts';

const PROBLEM: Problem = {
  severity: 'error',
  file: 'mesh.yaml',
  line: 12,
  column: 7,
  field: 'services[0].port',
  value: '"http"',
  message: 'is not a port number',
  meant: 'write a whole number from 1 to 65535, like 8080',
};

test('a problem is one line: place, field, value, what is wrong, what was meant', () => {
  assert.equal(
    formatProblem(PROBLEM),
    'mesh.yaml:12:7 services[0].port: "http" is not a port number; write a whole number from 1 to 65535, like 8080',
  );
});

test('parts that are not known are left out', () => {
  const bare: Problem = { severity: 'error', field: '', value: '', message: 'is wrong', meant: '' };
  assert.equal(formatProblem({ ...bare, file: 'm.yaml' }), 'm.yaml: is wrong');
  assert.equal(formatProblem({ ...bare, field: 'a.b' }), 'a.b: is wrong');
  assert.equal(formatProblem({ ...bare, file: 'm.yaml', line: 3, value: '5' }), 'm.yaml:3: 5 is wrong');
});

test('a key with line ends or terminal commands in it cannot forge another line of the log', () => {
  const field = 'annotations.tulle.dev/x\nmesh.yaml: ok\r\u001b[2J\u009b2J\u2028\u202e';
  const told = formatProblem({ ...PROBLEM, field });
  assert.doesNotMatch(told, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  assert.ok(told.includes('tulle.dev/x\\u000amesh.yaml: ok\\u000d\\u001b[2J\\u009b2J\\u2028\\u202e'), told);
});

test('values are shown as JSON, lists and mappings by their kind only', () => {
  assert.equal(showValue('a "b"\n'), '"a \\"b\\"\\n"');
  assert.equal(showValue(''), '""');
  assert.equal(showValue(5), '5');
  assert.equal(showValue(false), 'false');
  assert.equal(showValue(null), 'null');
  assert.equal(showValue(['secret']), 'a list');
  assert.equal(showValue({ password: 'secret' }), 'a mapping');
  assert.equal(showValue(undefined), '');
});

test('a value of a megabyte is shortened', () => {
  assert.equal(showValue('x'.repeat(1_000_000)), `"${'x'.repeat(59)}...`);
  assert.equal(showValue('x'.repeat(58)), `"${'x'.repeat(58)}"`);
});

test('credentials in a URL are never shown, whatever characters are in them', () => {
  const urls = [
    'redis://user:hunter2@redis:6379',
    'redis://:hunter2@redis:6379',
    'redis://user:p@hunter2@redis:6379',
    'redis://user:p/hunter2@redis:6379',
    'redis://user:p hunter2@redis:6379',
    'redis://user:p\nhunter2@redis:6379',
    ' REDISS://user:hunter2@redis:6379',
    'store is redis://user:hunter2@redis:6379',
    'http://a, redis://user:hunter2@redis:6379',
    'redis://redis:6379?password=hunter2',
    'redis://user:p?hunter2@redis:6379?a=hunter2&b=hunter2',
  ];
  for (const url of urls) {
    for (const field of ['', 'store', 'cache']) {
      const shown = showValue(url, field);
      assert.ok(!shown.includes('hunter2'), shown);
      assert.match(shown, /:\/\/(\*\*\*@redis:6379|redis:6379\?\*\*\*)/);
    }
  }
});

test('a value of a field for secrets is not shown, text or number', () => {
  for (const field of ['token', 'secretName', 'redis-password', 'api-key', 'apiKey', 'store', 'TOKEN']) {
    assert.equal(showValue('hunter2', field), '"***"', field);
    assert.equal(showValue(271828, field), '"***"', field);
  }
  assert.equal(showValue('hunter2', 'name'), '"hunter2"');
  assert.equal(showValue(undefined, 'token'), '');
});

test('a text without credentials stays as it is', () => {
  for (const text of ['', 'redis://h:6379', 'me@example.test', 'a://b\nc']) {
    assert.equal(withoutCredentials(text), text);
  }
});

test('an attacker who writes a long text of nothing but "://" keeps nobody busy', () => {
  // With backtracking this takes hours.
  const text = '://'.repeat(3_000_000);
  assert.equal(withoutCredentials(text), text);
  assert.equal(withoutCredentials(`${text}@x`), '://***@x');
});
