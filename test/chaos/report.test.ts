import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import {
  arrivalOf,
  evidenceOf,
  failedRequest,
  impairmentOf,
  QUOTA,
  requestOf,
  strikeOf,
} from './evidence.fixture.ts';
import { noLostRequest } from './invariants/no-lost-request.ts';
import { failureText, neverStruck, recordOf, summaryOf } from './report.ts';

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
    struck: {},
    requests: 2,
    failed: 1,
    failures: { 'http1 GET: upstream-reset': 1 },
    excused: {},
    quotas: [],
    violations: [
      'no-lost-request: 1 requests failed that had a healthy way (http1 GET: 502 upstream-reset: )',
    ],
  });
});

const STRUCK = strikeOf({ fault: 'kill-application', target: 'orders-0' });

test('what is excused is told by rule and fault, and faults that nothing felt by their names', () => {
  const excused = evidenceOf({
    requests: [
      failedRequest({ of: 'once' }),
      failedRequest({ id: 'r2', of: 'once' }),
      failedRequest({ id: 'r3', entry: 'client-b', reason: '', status: 0 }),
      requestOf({ id: 'r4', status: 429, reason: 'rate-limited' }),
    ],
    impairments: [impairmentOf(['orders-0']), impairmentOf(['client-b'], { fault: 'kill-entry' })],
    strikes: [STRUCK, strikeOf({ fault: 'lose-names', sign: '' })],
    quotas: [QUOTA],
    arrivals: [arrivalOf()],
  });
  const plan = [...result.plan, { atMs: 0, fault: 'lose-names', target: 'web', lastsMs: 1_000 }];
  const stormy = { seed: 42, plan, violations: [], evidence: excused };
  const record = recordOf(stormy);
  assert.deepEqual(record.struck, { 'kill-application': 1 });
  assert.deepEqual(record.excused, {
    'it may have run (kill-application)': { 'http1 GET: upstream-reset': 2 },
    'its own sidecar was ill (kill-entry)': { 'http1 GET: status 0': 1 },
  });
  assert.deepEqual(record.quotas, [
    { service: 'orders', letIn: 1, refused: 1, quietWindows: 0, leastUsed: null, meanUsed: null },
  ]);
  const told = summaryOf(stormy, record);
  for (const line of [
    /^4 requests, 3 failed, 1 arrivals/,
    /struck 1 of 2 faults; nothing felt 1 lose-names/,
    /quota of orders: 1 let in, 1 refused/,
    /excused 2: it may have run \(kill-application\): 2 http1 GET: upstream-reset/,
  ])
    assert.match(told, line);
});

test('a fault that comes again and again and never hits anything is broken; one that missed once is not', () => {
  const storm = { faults: { flood: 1, 'lose-names': 2, drought: 1 }, struck: { 'lose-names': 1 } };
  assert.deepEqual(neverStruck([storm]), []);
  assert.deepEqual(neverStruck([storm, { ...storm, faults: { flood: 1 } }]), ['flood']);
});
