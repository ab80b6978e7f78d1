import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Explanation } from '../telemetry/explanation.ts';
import { mergedExplanation, mergedRecent } from './merged-explanations.ts';

function explanation(at: number, more: Partial<Explanation> = {}): Explanation {
  return {
    id: `id-${at}`,
    at,
    listener: 'outbound',
    peer: '',
    peerAddress: '',
    method: 'GET',
    host: 'app',
    path: '/',
    route: '',
    routeWhy: '',
    service: 't/app',
    attempts: [],
    policies: [],
    status: 200,
    reason: '',
    detail: '',
    durationMs: 1,
    requestBytes: 0,
    responseBytes: 0,
    mtls: false,
    ...more,
  };
}

const times = (list: readonly Explanation[]) => list.map(({ at }) => at);

test('the newest of all workers come in the order of one: failed and slow ones first', () => {
  const first = [explanation(5, { status: 503 }), explanation(9), explanation(1)];
  const second = [
    explanation(6, { durationMs: 2000 }),
    explanation(8),
    explanation(2, { reason: 'no-route' }),
  ];
  assert.deepEqual(times(mergedRecent([first, second], 10)), [6, 5, 2, 9, 8, 1]);
  assert.deepEqual(times(mergedRecent([first, second], 3)), [6, 5, 2]);
  assert.deepEqual(mergedRecent([], 3), []);
});

test('the one worker that knows an id tells it, with its others', () => {
  const known = explanation(6, { others: [explanation(5)] });
  assert.deepEqual(mergedExplanation([undefined, known]), known);
  assert.deepEqual(mergedExplanation([explanation(4), undefined]), explanation(4));
  assert.equal(mergedExplanation([undefined, undefined]), undefined);
});

test('an id that several workers know is told whole: the failed one first, the others by time', () => {
  const found = mergedExplanation([
    explanation(5, { others: [explanation(9)] }),
    explanation(7, { status: 502, others: [explanation(1)] }),
  ]);
  assert.equal(found?.at, 7);
  assert.deepEqual(times(found?.others ?? []), [1, 5, 9]);
  assert.ok(found?.others?.every(({ others }) => others === undefined));
});
