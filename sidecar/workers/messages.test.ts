import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_BODY, readAnswer, readToSupervisor, readToWorker } from './messages.ts';

const IDENTITY = { type: 'identity', chainPem: 'c', keyPem: 'k', bundlePem: 'b', ticketKeys: 't' } as const;

test('what a supervisor says is read as it was sent', () => {
  const addresses = { inbound: '127.0.0.1:1', gateway: '[::1]:2' };
  for (const message of [
    { type: 'start', addresses },
    { type: 'start', addresses: {}, identity: IDENTITY },
    IDENTITY,
    { type: 'ask', id: 0, question: 'explain', argument: 'abc' },
    { type: 'drain' },
  ]) {
    assert.deepEqual(readToWorker(message), message);
  }
});

test('what a worker says is read as it was sent', () => {
  for (const message of [
    { type: 'hello' },
    { type: 'accepting' },
    { type: 'failed', message: 'mesh.yaml cannot be used' },
    { type: 'answer', id: 3, body: '{}' },
    { type: 'answer', id: 3 },
  ]) {
    assert.deepEqual(readToSupervisor(message), message);
  }
});

test('what another version may say, or nobody, is not taken', () => {
  for (const message of [
    undefined,
    null,
    'drain',
    [],
    {},
    { type: 'stop' },
    { type: 'start' },
    { type: 'start', addresses: { inbound: 4140 } },
    { type: 'start', addresses: {}, identity: { ...IDENTITY, keyPem: undefined } },
    { ...IDENTITY, bundlePem: 'x'.repeat(1024 * 1024 + 1) },
    { type: 'ask', id: 1.5, question: 'ready', argument: '' },
    { type: 'ask', id: 1, question: 'secrets', argument: '' },
    { type: 'ask', id: 1, question: 'toString', argument: '' },
    { type: 'ask', id: 1, question: 'explain', argument: 'x'.repeat(4097) },
    { type: 'ask', id: 1, question: 'explain' },
  ]) {
    assert.equal(readToWorker(message), undefined, JSON.stringify(message)?.slice(0, 100));
  }
  for (const message of [
    undefined,
    { type: 'drain' },
    { type: 'failed' },
    { type: 'answer', body: '{}' },
    { type: 'answer', id: 1, body: {} },
    { type: 'answer', id: 1, body: 'x'.repeat(MAX_BODY + 1) },
  ]) {
    assert.equal(readToSupervisor(message), undefined);
  }
});

test('what is not a part of a message does not go on', () => {
  const start = { type: 'start', addresses: { outbound: 'a:1', admin: 'b:2', evil: 1 }, more: 1 };
  assert.deepEqual(readToWorker(start), { type: 'start', addresses: { outbound: 'a:1' } });
});

test('an answer is read by the question: none, or one that cannot be merged, is no answer', () => {
  const ready = { ready: true, reasons: [], degraded: ['a little'] };
  assert.deepEqual(readAnswer('ready', JSON.stringify(ready)), { value: ready });
  assert.deepEqual(readAnswer('explain', 'null'), { value: undefined });
  assert.deepEqual(readAnswer('config', '{"services":[{"key":"t/app"}]}'), {
    value: { services: [{ key: 't/app' }] },
  });
  for (const body of [undefined, '', '{', 'null', '{"ready":true}', '{"ready":1,"reasons":[],"degraded":[]}'])
    assert.equal(readAnswer('ready', body), undefined);
  assert.equal(readAnswer('ready', '{"ready":true,"reasons":[1],"degraded":[]}'), undefined);
  assert.equal(readAnswer('config', '{"services":[{}]}'), undefined);
  assert.equal(readAnswer('recent', '[{"id":"a"}]'), undefined);
  assert.equal(readAnswer('explain', '{}'), undefined);
  assert.equal(readAnswer('certs', '[]'), undefined);
  assert.equal(readAnswer('numbers', '{}'), undefined);
});
