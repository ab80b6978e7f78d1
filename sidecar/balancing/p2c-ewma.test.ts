import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import type { Balancer } from './balancer.ts';
import { createEndpointLoad, type EndpointLoad } from './endpoint-load.ts';
import { p2cEwma } from './p2c-ewma.ts';

/** One request each ms for 20 s; how many each endpoint got. */
function counts(latencies: readonly number[], failing = -1): number[] {
  const balancer = p2cEwma(seeded(7));
  const endpoints = latencies.map((_, index) => createEndpointLoad(`e${index}`));
  const result = latencies.map(() => 0);
  let running: { end: number; index: number }[] = [];
  for (let now = 1; now <= 20_000; now++) {
    for (const { index } of running.filter(({ end }) => end <= now)) {
      balancer.finished(endpoints[index] ?? assert.fail(), now, latencies[index] ?? 0, index === failing);
    }
    running = running.filter(({ end }) => end > now);
    const endpoint = balancer.pick(endpoints) ?? assert.fail();
    const index = endpoints.indexOf(endpoint);
    result[index] = (result[index] ?? 0) + 1;
    balancer.started(endpoint, now);
    running.push({ end: now + (latencies[index] ?? 0), index });
  }
  return result;
}

function serve(
  balancer: Balancer,
  endpoint: EndpointLoad,
  nowMs: number,
  latencyMs: number,
  failed = false,
): void {
  balancer.started(endpoint, nowMs);
  balancer.finished(endpoint, nowMs + latencyMs, latencyMs, failed);
}

/** An endpoint whose first answer came already. */
function proven(address: string): EndpointLoad {
  return { ...createEndpointLoad(address), proven: true };
}

test('a slow endpoint gets a small share', () => {
  const [slow = 0, ...fast] = counts([100, 5, 5]);
  assert.ok(slow * 4 < Math.min(...fast), `${slow} ${fast}`);
});

test('an endpoint that fails at once does not draw the load', () => {
  const [failing = 0, ...fine] = counts([1, 5, 5], 0);
  assert.ok(failing < Math.min(...fine), `${failing} ${fine}`);
});

test('an endpoint that hangs without answering loses its share', () => {
  const balancer = p2cEwma(seeded(9));
  const [hung, fine] = [createEndpointLoad('hung'), createEndpointLoad('fine')];
  for (let now = 0; now < 10_000; now += 10) {
    const endpoint = balancer.pick([hung, fine]) ?? assert.fail();
    balancer.started(endpoint, now);
    if (endpoint === fine) balancer.finished(fine, now + 5, 5, false);
  }
  assert.ok(hung.inFlight < 30, `${hung.inFlight} requests hang`);
});

test('an endpoint that became fast again is found out', () => {
  const balancer = p2cEwma(seeded(5));
  const [slow, fast] = [createEndpointLoad('slow'), createEndpointLoad('fast')];
  serve(balancer, slow, 0, 5);
  serve(balancer, slow, 10, 500);
  let tried = 0;
  for (let now = 600; now < 120_000; now += 10) {
    const chosen = balancer.pick([slow, fast]) ?? assert.fail();
    if (chosen === slow) tried++;
    serve(balancer, chosen, now, 5);
  }
  assert.ok(tried > 100, `${tried}`);
});

test('a latency above the estimate replaces it at once, one below it pulls it down over ten seconds', () => {
  const balancer = p2cEwma(seeded(1));
  const endpoint = proven('e');
  serve(balancer, endpoint, 0, 5);
  assert.equal(endpoint.ewmaMs, 5);
  serve(balancer, endpoint, 100, 50);
  assert.equal(endpoint.ewmaMs, 50);
  serve(balancer, endpoint, 140, 10);
  assert.equal(endpoint.ewmaMs, 50);
  serve(balancer, endpoint, 10_140, 10);
  assert.ok(Math.abs(endpoint.ewmaMs - (10 + 40 / Math.E)) < 0.1, String(endpoint.ewmaMs));
});

test('a new endpoint starts from the median of its peers, whatever an outlier says', () => {
  const balancer = p2cEwma(seeded(2));
  const peers = [4, 5, 6, 7, 900].map((latency, index) => {
    const peer = proven(`p${index}`);
    serve(balancer, peer, 0, latency);
    return peer;
  });
  const newcomer = createEndpointLoad('new');
  const endpoints = [...peers, newcomer];
  while (newcomer.ewmaMs === 0) assert.ok(balancer.pick(endpoints));
  assert.equal(newcomer.ewmaMs, 6);
});

test('while nothing was measured, the endpoint with fewer requests in flight is taken', () => {
  const balancer = p2cEwma(seeded(3));
  const [busy, free] = [createEndpointLoad('busy'), createEndpointLoad('free')];
  balancer.started(busy, 0);
  for (let round = 0; round < 50; round++) assert.equal(balancer.pick([busy, free]), free);
});

test('a slow first answer, of a cold endpoint, does not make it look slow; a quick one and a slow second one count', () => {
  const balancer = p2cEwma(seeded(4));
  const endpoint = createEndpointLoad('e');
  serve(balancer, endpoint, 0, 900);
  assert.equal(endpoint.ewmaMs, 0, 'it counts as not measured');
  serve(balancer, endpoint, 1000, 5);
  assert.equal(endpoint.ewmaMs, 5);
  const fresh = createEndpointLoad('fresh');
  while (fresh.ewmaMs === 0) assert.ok(balancer.pick([endpoint, fresh]));
  serve(balancer, fresh, 1010, 900);
  assert.equal(fresh.ewmaMs, 5, 'the median of its peers');
  serve(balancer, fresh, 2000, 900);
  assert.equal(fresh.ewmaMs, 900);
});

test('a first answer that fails counts at once', () => {
  const balancer = p2cEwma(seeded(4));
  const endpoint = createEndpointLoad('e');
  serve(balancer, endpoint, 0, 10, true);
  assert.equal(endpoint.ewmaMs, 100);
});

test('endpoints that are about as quick share by what is in flight, much slower ones by cost', () => {
  const balancer = p2cEwma(seeded(8));
  const [quick, alike, slow] = [proven('quick'), proven('alike'), proven('slow')];
  serve(balancer, quick, 0, 5);
  serve(balancer, alike, 0, 9);
  serve(balancer, slow, 0, 11);
  const tally = (pair: readonly EndpointLoad[]) => {
    let first = 0;
    for (let i = 0; i < 1000; i++) if (balancer.pick(pair) === pair[0]) first++;
    return first;
  };
  assert.ok(Math.abs(tally([quick, alike]) - 500) < 80);
  assert.equal(tally([quick, slow]), 1000);
  balancer.started(quick, 10);
  assert.equal(tally([quick, alike]), 0);
});
