import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { until } from '../ask/until.ts';
import { freePorts, processesOf, type Running } from '../processes.ts';
import { readThreadTimes } from '../readings/cpu.ts';
import { type Chain, Programs } from './chain.ts';
import { measureQuotaDecision } from './decision.ts';
import { nginxChain } from './nginx-chain.ts';
import { tulleChain } from './tulle-chain.ts';

/*
 * What a quota costs a request: tokens drawn in advance, beside a global limit the usual way, which is a round trip to
 * Redis for each request (our own mode `exact`, and nginx with a service of limits), and beside none. Run by
 * `node bench/quotas/main.ts`.
 */

type Launch = (programs: Programs, appPort: number) => Promise<Chain>;

const WAYS: Readonly<Record<string, Launch>> = {
  none: (programs, appPort) => tulleChain(programs, undefined, appPort),
  lease: (programs, appPort) => tulleChain(programs, '100000/s burst 100000', appPort),
  exact: (programs, appPort) => tulleChain(programs, '100000/s burst 100000 exact', appPort),
  'nginx, a limiter': nginxChain,
};

interface Figures {
  readonly way: string;
  readonly requests: number;
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Scripts that Redis ran, for each request. */
  readonly redisScripts: number;
  /** CPU for each request, in us. */
  readonly redisUs: number;
  readonly limiterUs: number;
  readonly proxyUs: number;
}

const CONNECTIONS = 16;

/** The whole chain for one way. */
async function measure(way: string, launch: Launch, rate: number, seconds: number): Promise<Figures> {
  const programs = new Programs(mkdtempSync(join(tmpdir(), 'tulle-bench-quotas-')));
  const app = createServer((_request, response) => response.end('ok'));
  try {
    const [appPort = 0] = await freePorts(1);
    await new Promise<void>((resolve) => app.listen(appPort, '127.0.0.1', resolve));
    const chain = await launch(programs, appPort);
    const pool = new Pool(`http://127.0.0.1:${chain.port}`, { connections: CONNECTIONS });
    const call = async (): Promise<number> => {
      const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
      await body.dump();
      return statusCode;
    };
    const letIn = async (): Promise<void> => {
      if ((await call()) !== 200) throw new Error('not yet');
    };
    await until(letIn, 'a request that is let in', chain.proxy.failure);
    await paced(call, rate, 1);
    const figures = await figuresOf(way, chain, () => paced(call, rate, seconds));
    await pool.close();
    return figures;
  } finally {
    await programs.stop();
    app.close();
    app.closeAllConnections();
    rmSync(programs.directory, { recursive: true, force: true });
  }
}

async function figuresOf(
  way: string,
  { redisPort, redis, limiter, proxy }: Chain,
  work: () => Promise<{ times: number[]; refused: number }>,
): Promise<Figures> {
  const client = new Redis(redisPort, '127.0.0.1');
  const read = async () => [await scripts(client), ...[redis, limiter, proxy].map(cpuUs)];
  const before = await read();
  const { times, refused } = await work();
  const after = await read();
  client.disconnect();
  const requests = times.length;
  const [redisScripts = 0, redisUs = 0, limiterUs = 0, proxyUs = 0] = after.map(
    (value, at) => (value - (before[at] ?? 0)) / requests,
  );
  const [p50Ms = 0, p99Ms = 0] = [0.5, 0.99].map((share) => times[Math.floor(requests * share)] ?? 0);
  return { way, requests, refused, p50Ms, p99Ms, redisScripts, redisUs, limiterUs, proxyUs };
}

/** Calls at a constant rate; the time of a call runs from when it was due. Times sorted, in ms. */
async function paced(call: () => Promise<number>, rate: number, seconds: number) {
  const times: number[] = [];
  let refused = 0;
  const begin = performance.now();
  const pending: Promise<void>[] = [];
  for (let number = 0; number < rate * seconds; number++) {
    const due = begin + (number * 1000) / rate;
    const early = due - performance.now();
    if (early > 0) await pause(early);
    const from = Math.min(due, performance.now()); // a timer may be early
    pending.push(
      call().then((status) => {
        times.push(performance.now() - from);
        if (status !== 200) refused++;
      }),
    );
  }
  await Promise.all(pending);
  return { times: times.sort((a, b) => a - b), refused };
}

/** Scripts that were run: what they call inside is no command of anybody. */
async function scripts(client: Redis): Promise<number> {
  const info = await client.info('commandstats');
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(info)?.[1] ?? 0);
}

function cpuUs(program: Running): number {
  let ns = 0;
  for (const time of readThreadTimes(processesOf([program])).values()) ns += time;
  return ns / 1000;
}

function table(figures: readonly Figures[]): string {
  const head = [
    'way',
    'requests',
    'refused',
    'p50 ms',
    'p99 ms',
    'Redis scripts/request',
    'Redis CPU us/request',
  ];
  const heads = [...head, 'control plane or limiter CPU us/request', 'sidecar or nginx CPU us/request'];
  const rows = figures.map((one) => [
    one.way,
    one.requests,
    one.refused,
    one.p50Ms.toFixed(2),
    one.p99Ms.toFixed(2),
    one.redisScripts.toFixed(3),
    ...[one.redisUs, one.limiterUs, one.proxyUs].map((us) => us.toFixed(1)),
  ]);
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, rate: { type: 'string', default: '500' } },
});
const figures: Figures[] = [];
for (const [way, launch] of Object.entries(WAYS))
  figures.push(await measure(way, launch, Number(values.rate), Number(values.seconds)));
const decisions = [
  await measureQuotaDecision('1000000/s by client'),
  await measureQuotaDecision('1000000/s by client; window 100000000/h; 1000000/s by ip'),
];
const report = [
  '# What a quota costs',
  '',
  `${values.rate} requests a second through one sidecar, ${values.seconds} s for each way. A global limit the usual way is a round trip to Redis for each request: \`exact\`, and nginx that asks a small service of limits (\`limiter.ts\`) by \`auth_request\`.`,
  '',
  table(figures),
  '',
  'What the sidecar decides by itself, of a request whose tokens were drawn before (ns):',
  '',
  '| limits | p50 | p99 |',
  '| --- | --- | --- |',
  ...decisions.map(({ limits, p50Ns, p99Ns }) => `| \`${limits}\` | ${p50Ns} | ${p99Ns} |`),
  '',
].join('\n');
console.log(report);
writeFileSync(join(import.meta.dirname, '../results/quotas.md'), report);
process.exit(0);
