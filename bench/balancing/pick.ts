import { parseArgs } from 'node:util';
import { createBalancer } from '../../sidecar/balancing/balancer.ts';
import { createEndpointLoad } from '../../sidecar/balancing/endpoint-load.ts';

/**
 * What a pick costs with all that belongs to it (started, finished), in ns: the least of several rounds.
 * `node bench/balancing/pick.ts --endpoints 10`
 */
const { values } = parseArgs({ options: { endpoints: { type: 'string', default: '10' } } });
const ROUNDS = 200;
const PICKS = 50_000;

for (const strategy of [
  'p2c-ewma',
  'least-request',
  'round-robin',
  'random',
  'ring-hash',
  'maglev',
] as const) {
  const balancer = createBalancer({ strategy });
  const endpoints = Array.from({ length: Number(values.endpoints) }, (_, index) =>
    createEndpointLoad(`10.0.0.${index}:80`),
  );
  let best = Number.POSITIVE_INFINITY;
  let nowMs = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let pick = 0; pick < PICKS; pick++) {
      const endpoint = balancer.pick(endpoints, undefined, pick);
      if (endpoint === undefined) throw new Error('there is no endpoint to pick');
      nowMs += 0.1;
      balancer.started(endpoint, nowMs);
      balancer.finished(endpoint, nowMs + 5, 4 + (pick % 7), false);
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / PICKS);
  }
  console.log(`${strategy.padEnd(14)} ${best.toFixed(1)} ns`);
}
