import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../fixture/command.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { until } from '../fixture/wait.ts';
import { startHttp1 } from '../http2/server.ts';
import { caller } from './http1-servers.ts';
import { sidecarOn } from './sidecar-process.ts';

const LIMIT = { timeout: 120_000 };
const MAIN = join(import.meta.dirname, '../../cli/main.ts');
/** So long a request takes that is told to be slow. */
const SLOW_MS = 300;
/** Latencies are known for 15 s at least: so many requests at once, and they are all fresh. */
const AT_ONCE = 20;

/**
 * Two endpoints. A request with `x-hold` is not answered where it comes first, until it is released; where it comes
 * again it is at once.
 */
async function holdingServers(context: TestContext) {
  const held = new Map<string, ServerResponse>();
  const again = new Set<string>();
  const endpoints: string[] = [];
  for (let index = 0; index < 2; index++) {
    const { address } = await startHttp1(context, ({ headers }, response) => {
      const id = headers['x-hold'];
      if (headers['x-slow'] !== undefined) setTimeout(() => response.end('slow'), SLOW_MS);
      else if (typeof id !== 'string') response.end('fine');
      else if (held.has(id)) {
        again.add(id);
        response.end('hedge');
      } else held.set(id, response);
    });
    endpoints.push(address);
  }
  return { endpoints, held, again };
}

/** Of the latencies of a service so many are needed, one beyond the quantile among them. */
const NEEDED = { p50: 2, p75: 4, p90: 10, p95: 20, p99: 100, 'p99.5': 200 } as const;

test(
  'any quantile from p50 on: no request is hedged before there are enough latencies to know it, and then one is',
  LIMIT,
  async (context) => {
    const { endpoints, held, again } = await holdingServers(context);
    const quantiles = Object.entries(NEEDED);
    const services = quantiles.map(([quantile], index) => ({
      ...{ name: `s${index}`, namespace: 't', port: 80, endpoints },
      annotations: {
        'tulle.dev/hedge': `after ${quantile}`,
        'tulle.dev/retry-budget': '100% + 1000/s',
        'tulle.dev/balance': 'round-robin',
      },
    }));
    const { outbound, explained } = await sidecarOn(context, { services });
    const call = caller(context, outbound);
    const check = async (quantile: string, needed: number, host: string): Promise<void> => {
      const ask = async (id: string, headers = {}) => {
        const { body } = await call(id, { headers: { host, ...headers } });
        return body;
      };
      for (let left = needed - 1; left > 0; left -= AT_ONCE)
        await Promise.all(
          Array.from({ length: Math.min(left, AT_ONCE) }, (_, index) => ask(`${quantile}-${left}-${index}`)),
        );
      const early = `${quantile}-early`;
      const unhedged = ask(early, { 'x-hold': early });
      await until(`${early} at a server`, () => held.has(early));
      // Longer than any of these took: a hedge would have come.
      assert.equal(await ask(`${quantile}-slow`, { 'x-slow': '1' }), 'slow');
      held.get(early)?.end('first');
      assert.equal(await unhedged, 'first', quantile);
      const told = await explained(early);
      assert.deepEqual([told.attempts.length, told.policies, again.has(early)], [1, [], false], quantile);

      const late = `${quantile}-late`;
      assert.equal(await ask(late, { 'x-hold': late }), 'hedge', quantile);
      const { policies, attempts } = await explained(late);
      assert.deepEqual(
        policies.map(({ policy, decision }) => `${policy} ${decision}`),
        ['hedge sent', 'hedge won'],
        quantile,
      );
      assert.deepEqual(
        attempts.map(({ hedge = false }) => hedge),
        [false, true],
      );
      // Two took as long as the slow one, and of so many these are beyond any quantile but a high one.
      const [, afterMs] = /^no answer after ([\d.]+) ms$/.exec(policies[0]?.detail ?? '') ?? [];
      if (needed >= NEEDED.p99) assert.ok(Number(afterMs) >= SLOW_MS - 1, `${quantile}: after ${afterMs} ms`);
    };
    await Promise.all(quantiles.map(([quantile, needed], index) => check(quantile, needed, `s${index}`)));
  },
);

test(
  'a hedge after a fixed time, or after what is no quantile, is an error at its place, and nothing is hedged by it',
  LIMIT,
  async (context) => {
    const wrong = ['after 100ms', 'after p49', 'after p100', 'p95', 'after p95 for get', '95%'];
    const { endpoints } = await holdingServers(context);
    const services = wrong.map((hedge, index) => ({
      ...{ name: `s${index}`, namespace: 't', port: 80, endpoints },
      annotations: { 'tulle.dev/hedge': hedge },
    }));
    const file = join(temporaryDir(context), 'mesh.yaml');
    writeMesh(file, { services });
    const { code, out } = await runCommand(process.execPath, [MAIN, 'check', file, '--json']);
    const { problems } = JSON.parse(out) as { problems: Record<string, unknown>[] };
    assert.equal(code, 1);
    assert.deepEqual(
      problems.map(({ severity, field, value, message }) => [severity, field, value, message]),
      wrong.map((hedge, index) => [
        'error',
        `services[${index}].annotations.tulle.dev/hedge`,
        `"${hedge}"`,
        'is not a hedge',
      ]),
    );
    for (const { meant } of problems) assert.match(String(meant), /^write "after pNN" with p50 to p99\.9,/);

    const args = ['--standalone', file, '--outbound', '127.0.0.1:0', '--workload', 't/web=127.0.0.1:1'];
    const sidecar = await startTulle(context, 'sidecar', ...args);
    const told = () => sidecar.log.match(/is not a hedge/g)?.length;
    await until('each of them in the log', () => told() === wrong.length);
    const call = caller(context, sidecar.ready.outbound ?? '');
    assert.equal((await call('served', { headers: { host: 's0' } })).body, 'fine');
  },
);
