import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceOf, failedRequest, impairmentOf, requestOf } from '../evidence.fixture.ts';
import type { Evidence } from '../evidence.ts';
import { noLostRequest } from './no-lost-request.ts';

function lost(given: Partial<Evidence>): string[] {
  return noLostRequest.check(evidenceOf(given)).flatMap(({ requests }) => requests);
}

test('a request that fails while everything is well is lost', () => {
  assert.deepEqual(lost({ requests: [failedRequest(), requestOf({ id: 'r2' })] }), ['r1']);
});

test('one impaired endpoint among healthy ones excuses what may have run there, and nothing that is safe to repeat', () => {
  const impairments = [impairmentOf(['orders-0'])];
  assert.deepEqual(lost({ requests: [failedRequest()], impairments }), ['r1']);
  for (const kind of ['once', 'opaque'] as const)
    assert.deepEqual(lost({ requests: [failedRequest({ of: kind })], impairments }), []);
});

test('without any healthy endpoint of a service on its way a request may fail', () => {
  const impairments = [impairmentOf(['orders-0', 'orders-1'])];
  assert.deepEqual(lost({ requests: [failedRequest({ services: ['web', 'orders'] })], impairments }), []);
  assert.deepEqual(lost({ requests: [failedRequest({ services: ['web'] })], impairments }), ['r1']);
});

test('what never got to an application can be sent again, so that one healthy endpoint is enough for it too', () => {
  const impairments = [impairmentOf(['orders-0'])];
  const attempt = '  attempt 1: 127.0.0.1:80 at +0.0 ms -> connect-failed after 0.2 ms\n';
  const failed = failedRequest({ of: 'once', reason: 'connect-failed', explanation: attempt });
  assert.deepEqual(lost({ requests: [failed], impairments }), ['r1']);
  // That of an endpoint's sidecar is a response of the endpoint.
  const answered = { ...failed, explanation: attempt.replace('connect-failed', '503') };
  assert.deepEqual(lost({ requests: [answered], impairments }), []);
  assert.deepEqual(lost({ requests: [failed], impairments: [impairmentOf(['orders-0', 'orders-1'])] }), []);
});

test('a response that was cut after its head is excused by an endpoint that is ill; one that seems whole is not', () => {
  const impairments = [impairmentOf(['orders-0'])];
  const cut = failedRequest({ status: 200, reason: '', detail: 'cut short: read ECONNRESET' });
  assert.deepEqual(lost({ requests: [cut], impairments }), []);
  assert.deepEqual(lost({ requests: [cut], impairments: [] }), ['r1'], 'all are well');
  assert.deepEqual(lost({ requests: [{ ...cut, status: 0 }], impairments }), ['r1'], 'no head came');
  assert.deepEqual(lost({ requests: [{ ...cut, detail: '7 of 9 bytes' }], impairments }), ['r1']);
});

test('a retry budget that is used up is an excuse only where a fault before this one can have used it up', () => {
  const explanation = '  policy retry-budget refused: the retry budget of chaos/orders is used up\n';
  const requests = [failedRequest({ startMs: 20_000, endMs: 20_050, explanation })];
  const now = impairmentOf(['orders-0'], { fromMs: 19_900, toMs: 21_000 });
  const before = impairmentOf(['orders-0', 'orders-1'], { fromMs: 9_000, toMs: 12_000 });
  assert.deepEqual(lost({ requests, impairments: [now] }), ['r1']);
  assert.deepEqual(lost({ requests, impairments: [{ ...before, toMs: 9_500 }, now] }), ['r1'], 'long ago');
  assert.deepEqual(lost({ requests, impairments: [before] }), ['r1'], 'all are well');
  assert.deepEqual(lost({ requests, impairments: [before, now] }), []);
});

test('endpoints that were ill one after the other left a healthy way at each moment', () => {
  const impairments = [
    impairmentOf(['orders-0'], { toMs: 140 }),
    impairmentOf(['orders-1'], { fromMs: 150 }),
  ];
  assert.deepEqual(lost({ requests: [failedRequest()], impairments }), ['r1']);
  const longer = [impairmentOf(['orders-0'], { toMs: 160 }), impairmentOf(['orders-1'], { fromMs: 150 })];
  assert.deepEqual(lost({ requests: [failedRequest()], impairments: longer }), []);
});

test('a refusal by a quota where there is none is excused by nothing', () => {
  const requests = [failedRequest({ status: 429, reason: 'rate-limited' })];
  assert.deepEqual(lost({ requests, impairments: [impairmentOf(['client-a', 'orders-0', 'orders-1'])] }), [
    'r1',
  ]);
});

test('the own sidecar away excuses everything; the sidecar of another client nothing', () => {
  assert.deepEqual(lost({ requests: [failedRequest()], impairments: [impairmentOf(['client-a'])] }), []);
  assert.deepEqual(lost({ requests: [failedRequest()], impairments: [impairmentOf(['client-b'])] }), ['r1']);
});

test('a fault that was over before, or came after, excuses nothing', () => {
  for (const time of [
    { fromMs: 0, toMs: 99 },
    { fromMs: 201, toMs: 999 },
  ])
    assert.deepEqual(
      lost({ requests: [failedRequest({ of: 'once' })], impairments: [impairmentOf(['orders-0'], time)] }),
      ['r1'],
    );
});

test('a machine that had no time excuses what timed out, and no other failure', () => {
  const stalls = [{ fromMs: 120, toMs: 180 }];
  assert.deepEqual(lost({ requests: [failedRequest({ reason: 'try-timeout' })], stalls }), []);
  assert.deepEqual(lost({ requests: [failedRequest()], stalls }), ['r1']);
});
