import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deadAddress } from '../fixture/free-port.ts';
import { bothRoute, edgeMesh, trafficPolicy, twoWays } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { startHttp1 } from '../http2/server.ts';

const LIMIT = { timeout: 60_000 };

/** A request is answered 503 as often as its `x-fails` says; when each attempt came, by its path and `x-way`. */
async function failingServer(context: TestContext) {
  const times = new Map<string, number[]>();
  const { address } = await startHttp1(context, (request, response) => {
    const key = `${request.url} ${request.headers['x-way']}`;
    const came = times.get(key) ?? [];
    times.set(key, came);
    came.push(performance.now());
    // For the explanation: a gateway makes up an id of its own.
    response.setHeader('x-request-id', String(request.headers['x-request-id']));
    response.writeHead(came.length > Number(request.headers['x-fails']) ? 200 : 503).end();
  });
  return { address, times };
}

interface Case {
  readonly name: string;
  /** Of the service, and of a policy about the rule. */
  readonly retries: string;
  readonly policy?: string;
  /** What the rule itself says. */
  readonly retry?: object;
  readonly fails: number;
  /** The least and the most that each wait may be chosen to be, in ms. */
  readonly waits: readonly (readonly [least: number, most: number])[];
}

const retry = (attempts: number, backoff?: string) => ({
  ...{ attempts, codes: [503] },
  ...(backoff !== undefined && { backoff }),
});
/** A quarter may come on top by chance, or not. */
const from = (...leasts: readonly number[]) => leasts.map((least) => [least, least * 1.25] as const);
const upTo = (...mosts: readonly number[]) => mosts.map((most) => [0, most] as const);

const CASES: readonly Case[] = [
  { name: 'default', retries: '4 on 503', fails: 4, waits: upTo(25, 50, 100, 200) },
  { name: 'policy', retries: '4 on 503 backoff 10ms..25ms', fails: 4, waits: upTo(10, 20, 25, 25) },
  {
    name: 'longer',
    retries: '1 on 503 backoff 1ms..1ms',
    retry: retry(2, '60ms'),
    fails: 2,
    waits: from(60, 120),
  },
  { name: 'shorter', retries: '1 on 503 backoff 1h..1h', retry: retry(1, '20ms'), fails: 1, waits: from(20) },
  {
    name: 'over-policy',
    retries: '0',
    policy: '3 on 500 backoff 1h..1h',
    retry: retry(2, '20ms'),
    fails: 2,
    waits: from(20, 40),
  },
  // No more than eight times the first.
  {
    name: 'many',
    retries: '0',
    retry: retry(6, '10ms'),
    fails: 6,
    waits: from(10, 20, 40, 80, 80, 80),
  },
  // The rule's retries take the place of the policy's as a whole.
  { name: 'none-said', retries: '1 on 503 backoff 1h..1h', retry: retry(1), fails: 1, waits: upTo(25) },
];

test(
  'what a route says of the wait before a retry takes the place of the policy, and is never shorter than said',
  LIMIT,
  async (context) => {
    const { address, times } = await failingServer(context);
    const service = { protocol: 'http', endpoints: [address] };
    const budget = { 'tulle.dev/retry-budget': '100% + 1000/s' };
    const at = (name: string) => ({ name, matches: [{ path: { value: `/${name}` } }] });
    const { ways, explain } = await twoWays(
      context,
      edgeMesh(
        Object.fromEntries(
          CASES.map(({ name, retries }) => [
            name,
            { ...service, annotations: { ...budget, 'tulle.dev/retries': retries } },
          ]),
        ),
        {
          routes: CASES.map(({ name, retry: own }) =>
            bothRoute('HTTPRoute', name, name, [
              { ...at(name), ...(own && { retry: own }), backendRefs: [{ name }] },
            ]),
          ),
          policies: CASES.flatMap(({ name, policy }) =>
            policy === undefined
              ? []
              : [trafficPolicy(name, { kind: 'HTTPRoute', name, sectionName: name }, { retries: policy })],
          ),
        },
      ),
    );
    const check = async (way: (typeof ways)[number], { name, fails, waits }: Case) => {
      const what = `${name}, ${way.name}`;
      const host = way.name.startsWith('HTTP/2') ? { ':authority': `${name}.t` } : { host: `${name}.t` };
      const asked = { ...host, 'x-fails': String(fails), 'x-way': way.name };
      const { status, headers } = await way.ask(`/${name}`, asked);
      assert.equal(status, 200, what);
      let told: Record<string, unknown> = {};
      await until(`the explanation of ${what}`, async () => {
        told = await explain(String(headers['x-request-id']));
        return told.policies !== undefined;
      });
      const chosen = (told.policies as { decision: string; detail: string }[])
        .filter(({ decision }) => decision === 'waits')
        .map(({ detail }) => Number.parseFloat(detail));
      assert.equal(chosen.length, waits.length, what);
      const came = times.get(`/${name} ${way.name}`) ?? [];
      for (const [index, [least, most]] of waits.entries()) {
        const wait = chosen[index] ?? Number.NaN;
        assert.ok(wait >= least && wait <= most + 0.1, `${what}: wait ${index + 1} of ${chosen}`);
        const passed = (came[index + 1] ?? 0) - (came[index] ?? 0);
        assert.ok(passed >= wait - 0.1, `${what}: ${passed} ms passed of ${wait}`);
      }
    };
    for (const one of CASES) await Promise.all(ways.map((way) => check(way, one)));
  },
);

test(
  'a route that says a wait has it before a failed connect is made again, too; without it another endpoint is asked at once',
  LIMIT,
  async (context) => {
    const { address } = await failingServer(context);
    const endpoints = [await deadAddress(), address];
    const annotations = {
      'tulle.dev/balance': 'round-robin',
      'tulle.dev/circuit-breaker': 'off',
      'tulle.dev/retry-budget': '100% + 1000/s',
    };
    const app = { protocol: 'http', endpoints, annotations };
    const routes = [
      bothRoute('HTTPRoute', 'app', 'app', [{ retry: retry(1, '40ms'), backendRefs: [{ name: 'app' }] }]),
      bothRoute('HTTPRoute', 'atonce', 'atonce', [{ retry: retry(1), backendRefs: [{ name: 'atonce' }] }]),
    ];
    const { ways, explain } = await twoWays(context, edgeMesh({ app, atonce: app }, { routes }));
    const [outbound = assert.fail()] = ways;
    for (const [host, least] of [
      ['app.t', 40],
      ['atonce.t', 0],
    ] as const) {
      let retried = 0;
      for (let asked = 0; asked < 4; asked++) {
        const id = `${host}-${asked}`;
        const { status } = await outbound.ask('/', { host, 'x-request-id': id, 'x-way': id, 'x-fails': '0' });
        assert.equal(status, 200);
        let told: Record<string, unknown> = {};
        await until(`the explanation of ${id}`, async () => {
          told = await explain(id);
          return told.policies !== undefined;
        });
        const { attempts, policies } = told as {
          attempts: { startMs: number }[];
          policies: { decision: string }[];
        };
        if (attempts.length === 1) continue;
        retried++;
        const waited = policies.some(({ decision }) => decision === 'waits');
        assert.equal(waited, least > 0, id);
        assert.ok((attempts[1]?.startMs ?? 0) >= least, JSON.stringify(attempts));
      }
      assert.ok(retried > 0, host);
    }
  },
);
