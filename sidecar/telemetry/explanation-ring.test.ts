import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import type { Exchange } from '../exchange.ts';
import { Explanations } from './explanation-ring.ts';

let clock = 0;

/** Records one request that took `tookMs`; each starts after the one before. */
function record(
  to: Explanations,
  id: string,
  { status = 200, reason = '' as Exchange['reason'], attempts = 1, tookMs = 5, service = 's' } = {},
): void {
  clock += 10;
  const exchange = exchangeFor('/a', [], { startMs: clock });
  Object.assign(exchange, { id, status, reason, service });
  for (let i = 0; i < attempts; i++) {
    exchange.attempts.push({
      endpoint: `e${i}`,
      startMs: 0,
      durationMs: 1,
      result: '200',
      connectionReused: true,
    });
  }
  to.record(exchange, exchange.startMs + tookMs);
}

const ids = (of: Explanations, limit = 1000) => of.recent(limit).map(({ id }) => id);

test('a request is found by its id, with what was known of it', () => {
  const all = new Explanations();
  record(all, 'one');
  record(all, 'two', { status: 404, reason: 'no-route', tookMs: 7 });
  const found = all.find('two');
  assert.deepEqual(
    [found?.id, found?.status, found?.reason, found?.durationMs, found?.path, found?.host],
    ['two', 404, 'no-route', 7, '/a', 'app'],
  );
  assert.equal(found?.others, undefined);
  assert.equal(all.find('three'), undefined);
  assert.equal(all.find(''), undefined);
});

test('the ring is bounded: the oldest make room', () => {
  const all = new Explanations({ all: 4, notable: 2 });
  for (let i = 0; i < 11; i++) record(all, `r${i}`);
  assert.deepEqual(ids(all), ['r10', 'r9', 'r8', 'r7']);
  assert.equal(all.find('r6'), undefined);
});

test('an attacker who makes many requests that succeed does not push out what failed, was retried or was slow', () => {
  const all = new Explanations({ all: 8, notable: 8, slowMs: 100 });
  record(all, 'failed', { status: 500 });
  record(all, 'refused', { status: 404, reason: 'no-route' });
  record(all, 'retried', { attempts: 2 });
  record(all, 'slow', { tookMs: 101 });
  record(all, 'fine', { status: 404 });
  record(all, 'quick', { tookMs: 100 });
  for (let i = 0; i < 1000; i++) record(all, `r${i}`);
  for (const id of ['failed', 'refused', 'retried', 'slow']) assert.equal(all.find(id)?.id, id);
  for (const id of ['fine', 'quick']) assert.equal(all.find(id), undefined, id);
});

test('an attacker who makes many requests that fail pushes out older failures only', () => {
  const all = new Explanations({ all: 8, notable: 4 });
  record(all, 'first', { status: 500 });
  for (let i = 0; i < 4; i++) record(all, `r${i}`, { status: 500 });
  assert.equal(all.find('first')?.id, 'first', 'it is still among all');
  for (let i = 4; i < 100; i++) record(all, `r${i}`, { status: 500 });
  assert.equal(all.find('first'), undefined);
  assert.equal(ids(all).length, 8);
});

test('of an id that came several times, a failed one is told first, and the others by their age', () => {
  const all = new Explanations();
  record(all, 'same', { service: 'a/one' });
  record(all, 'same', { service: 'a/two', status: 502 });
  record(all, 'other');
  record(all, 'same', { service: 'a/three' });
  const found = all.find('same');
  assert.equal(found?.service, 'a/two');
  assert.deepEqual(
    found?.others?.map(({ service }) => service),
    ['a/one', 'a/three'],
  );
});

test('of an id that came several times and never failed, the newest is told first', () => {
  const all = new Explanations();
  for (const service of ['a/one', 'a/two', 'a/three']) record(all, 'same', { service });
  const found = all.find('same');
  assert.equal(found?.service, 'a/three');
  assert.deepEqual(
    found?.others?.map(({ service }) => service),
    ['a/one', 'a/two'],
  );
});

test('the newest are told, what failed before the rest, each once, no more than asked for', () => {
  const all = new Explanations();
  record(all, 'a', { status: 500 });
  record(all, 'b');
  record(all, 'c', { status: 500 });
  record(all, 'd');
  assert.deepEqual(ids(all), ['c', 'a', 'd', 'b']);
  assert.deepEqual(ids(all, 3), ['c', 'a', 'd']);
  assert.deepEqual(ids(all, 0), []);
});

test('an explanation stays as it is when its place is written over', () => {
  const all = new Explanations({ all: 2, notable: 1 });
  record(all, 'kept', { attempts: 3 });
  const found = all.find('kept');
  const before = structuredClone(found);
  for (let i = 0; i < 10; i++) record(all, `r${i}`, { status: 500, attempts: 2 });
  assert.deepEqual(found, before);
});

test('above a thousand requests a second a sample of them is kept, but all that failed', () => {
  const all = new Explanations({ all: 100_000, notable: 100_000 });
  const exchange = exchangeFor('/a', [], { startMs: 0 });
  let failed = 0;
  for (let i = 0; i < 40_000; i++) {
    exchange.status = i % 100 === 0 ? 503 : 200;
    if (exchange.status === 503) failed++;
    exchange.id = `r${i}`;
    exchange.startMs = i / 20;
    all.record(exchange, i / 20); // twenty a millisecond, for two seconds
  }
  const kept = all.recent(100_000);
  assert.equal(kept.filter(({ status }) => status === 503).length, failed);
  const ordinary = kept.filter(({ status }) => status === 200).length;
  assert.ok(ordinary > 1_500 && ordinary < 3_000, `${ordinary} ordinary ones`);
  assert.ok(
    kept.some(({ id }) => Number(id.slice(1)) > 39_000),
    'the sample goes on to the end',
  );
});

test('redirects and preflights do not push out failures', () => {
  const all = new Explanations();
  record(all, 'failed', { status: 503, reason: 'no-endpoint' });
  record(all, 'moved', { status: 302, reason: 'redirect' });
  record(all, 'asked', { status: 200, reason: 'cors-preflight' });
  record(all, 'newest', { status: 404, reason: 'no-route' });
  assert.deepEqual(ids(all, 2), ['newest', 'failed']);
});
