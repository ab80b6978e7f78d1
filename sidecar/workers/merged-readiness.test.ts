import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergedReadiness, type WorkerState } from './merged-readiness.ts';

const answered = (number: number, reasons: string[] = [], degraded: string[] = []): WorkerState => ({
  number,
  state: 'answered',
  readiness: { ready: reasons.length === 0, reasons, degraded },
});
const away = (number: number): WorkerState => ({ number, state: 'away', why: 'it is started again' });

test('ready when all are', () => {
  assert.deepEqual(mergedReadiness([answered(1), answered(2)]), { ready: true, reasons: [], degraded: [] });
});

test('one that is not ready gets connections all the same: it counts for all, and is named', () => {
  assert.deepEqual(mergedReadiness([answered(1), answered(2, ['no certificate yet'], ['late'])]), {
    ready: false,
    reasons: ['worker 2: no certificate yet'],
    degraded: ['worker 2: late'],
  });
});

test('one that hangs keeps its connections from being served: not ready', () => {
  assert.deepEqual(mergedReadiness([answered(1), { number: 2, state: 'silent' }]), {
    ready: false,
    reasons: ['worker 2: does not answer'],
    degraded: [],
  });
});

test('one that is gone leaves its connections to the others: degraded; all gone: not ready', () => {
  assert.deepEqual(mergedReadiness([answered(1), away(2)]), {
    ready: true,
    reasons: [],
    degraded: ['worker 2: it is started again'],
  });
  assert.deepEqual(mergedReadiness([away(1), away(2)]), {
    ready: false,
    reasons: ['workers 1, 2: it is started again'],
    degraded: [],
  });
});

test('what several say is said once', () => {
  const { degraded } = mergedReadiness([answered(1, [], ['a', 'b']), answered(2, [], ['a']), answered(3)]);
  assert.deepEqual(degraded, ['workers 1, 2: a', 'worker 1: b']);
});
