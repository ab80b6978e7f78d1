import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import { evidenceOf, failedRequest, impairmentOf, requestOf } from './evidence.fixture.ts';
import { noLostRequest } from './invariants/no-lost-request.ts';
import { failureText, recordOf } from './report.ts';

const evidence = evidenceOf({
  requests: [requestOf({ id: 'r0' }), failedRequest({ explanation: 'attempt 1: orders-0\n' })],
  impairments: [impairmentOf(['orders-0'])],
});
const result = {
  seed: 42,
  plan: [{ atMs: 0, fault: 'kill-application', target: 'orders-0', lastsMs: 1_000 }],
  violations: noLostRequest.check(evidence),
  evidence,
};

test('a failing seed is told with invariant, requests, explanations, faults around them, logs, and how to replay it', (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'orders-0.log'), 'first\nlast words\n');
  const text = failureText(result, folder, 'npm run chaos -- --seed 42');
  for (const told of [
    /SEED 42 FAILED: 1 violations/,
    /no-lost-request: 1 requests failed/,
    /requests: r1/,
    /attempt 1: orders-0/,
    /fault kill-application of orders-0: -100 to 900 ms from its start/,
    /replay: npm run chaos -- --seed 42/,
    /orders-0\.log:\n {4}first\n {4}last words/,
  ])
    assert.match(text, told);
  assert.ok(text.includes(`logs: ${folder}`));
});

test('a record has the seed, the faults, and failures by kind and reason', () => {
  assert.deepEqual(recordOf(result), {
    seed: 42,
    passed: false,
    faults: { 'kill-application': 1 },
    requests: 2,
    failed: 1,
    failures: { 'http1 GET: upstream-reset': 1 },
    violations: [
      'no-lost-request: 1 requests failed that had a healthy way (http1 GET: 502 upstream-reset: )',
    ],
  });
});
