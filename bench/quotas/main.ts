import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { until } from '../ask/until.ts';
import { freePorts, processesOf, type Running, start, stop } from '../processes.ts';
import { readThreadTimes } from '../readings/cpu.ts';
import { measureQuotaDecision } from './decision.ts';

/*
 * What a quota costs a request: tokens drawn in advance, beside a global limit the usual way, which is a round trip to
 * Redis for each request (our own mode `exact`), and beside none. Run by `node bench/quotas/main.ts`.
 */

const MODES = {
  none: undefined,
  lease: '100000/s burst 100000',
  exact: '100000/s burst 100000 exact',
} as const;

type Mode = keyof typeof MODES;

interface Figures {
  readonly mode: Mode;
  readonly requests: number;
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Scripts that Redis ran, for each request. */
  readonly redisScripts: number;
  /** CPU of Redis and of the control plane for each request, in us. */
  readonly redisUs: number;
  readonly controlPlaneUs: number;
}

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const CONNECTIONS = 16;

/** The whole chain for one mode: Redis, control plane, sidecar, application. */
async function measure(mode: Mode, rate: number, seconds: number): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-quotas-'));
  const running: Running[] = [];
  const app = createServer((_request, response) => response.end('ok'));
  try {
    const [redisPort = 0, controlPort = 0, inboundPort = 0, appPort = 0] = await freePorts(4);
    await new Promise<void>((resolve) => app.listen(appPort, '127.0.0.1', resolve));
    const launch = (name: string, command: string, args: readonly string[], core: number): Running => {
      const log = join(directory, `${name}.log`);
      const program = start({ name, command, args, core, log, directory });
      running.push(program);
      return program;
    };
    const redisArgs = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', ''];
    const redis = launch('redis', 'redis-server', redisArgs, 1);
    const state = join(directory, 'state');
    const token = join(directory, 'token');
    mkdirSync(state, { recursive: true });
    const mesh = join(directory, 'mesh.yaml');
    const limit = MODES[mode];
    const annotations = limit === undefined ? {} : { 'tulle.dev/rate-limit': limit };
    const services = [{ name: 'orders', namespace: 'shop', port: 80, protocol: 'http', annotations }];
    const quotas = { store: `redis://127.0.0.1:${redisPort}` };
    writeFileSync(mesh, JSON.stringify({ services, quotas })); // YAML holds JSON
    const control = launch(
      'control-plane',
      process.execPath,
      [MAIN, 'control-plane', '--mesh', mesh, '--state', state, '--listen', `127.0.0.1:${controlPort}`],
      1,
    );
    const bundle = await ready(
      control,
      () => bundleOf(join(directory, 'control-plane.log')),
      'the control plane',
    );
    writeFileSync(token, await mintJoinToken(state, 'shop/orders', 600_000), { mode: 0o600 });
    const joining = [
      '--control-plane',
      `127.0.0.1:${controlPort}`,
      '--bundle',
      bundle,
      '--token-file',
      token,
    ];
    const workload = [
      '--inbound',
      `127.0.0.1:${inboundPort}`,
      '--workload',
      `shop/orders=127.0.0.1:${appPort}`,
    ];
    const sidecar = launch('sidecar', process.execPath, [MAIN, 'sidecar', ...joining, ...workload], 0);
    const pool = new Pool(`http://127.0.0.1:${inboundPort}`, { connections: CONNECTIONS });
    const call = async (): Promise<number> => {
      const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
      await body.dump();
      return statusCode;
    };
    await ready(sidecar, async () => ((await call()) === 200 ? true : undefined), 'a request that is let in');
    await paced(call, rate, 1);
    const client = new Redis(redisPort, '127.0.0.1');
    const before = [await scripts(client), cpuUs(redis), cpuUs(control)] as const;
    const { times, refused } = await paced(call, rate, seconds);
    const after = [await scripts(client), cpuUs(redis), cpuUs(control)] as const;
    client.disconnect();
    await pool.close();
    const requests = times.length;
    return {
      mode,
      requests,
      refused,
      p50Ms: times[Math.floor(requests * 0.5)] ?? 0,
      p99Ms: times[Math.floor(requests * 0.99)] ?? 0,
      redisScripts: (after[0] - before[0]) / requests,
      redisUs: (after[1] - before[1]) / requests,
      controlPlaneUs: (after[2] - before[2]) / requests,
    };
  } finally {
    for (const program of running.reverse()) await stop(program);
    app.close();
    app.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits until `read` has something. */
async function ready<T>(
  program: Running,
  read: () => T | undefined | Promise<T | undefined>,
  what: string,
): Promise<T> {
  let found: T | undefined;
  await until(
    async () => {
      found = await read();
      if (found === undefined) throw new Error('not yet');
    },
    what,
    program.failure,
  );
  return found as T; // until rejects else
}

function bundleOf(log: string): string | undefined {
  const line = readFileSync(log, 'utf8')
    .split('\n')
    .find((one) => one.includes('"bundle"'));
  return line === undefined ? undefined : (JSON.parse(line) as { bundle: string }).bundle;
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
    pending.push(
      call().then((status) => {
        times.push(performance.now() - due);
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
  const rows = figures.map(
    ({ mode, requests, refused, p50Ms, p99Ms, redisScripts, redisUs, controlPlaneUs }) =>
      `| ${mode} | ${requests} | ${refused} | ${p50Ms.toFixed(2)} | ${p99Ms.toFixed(2)} | ${redisScripts.toFixed(3)} | ${redisUs.toFixed(1)} | ${controlPlaneUs.toFixed(1)} |`,
  );
  return [
    '| mode | requests | refused | p50 ms | p99 ms | Redis scripts/request | Redis CPU us/request | control plane CPU us/request |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, rate: { type: 'string', default: '500' } },
});
const figures: Figures[] = [];
for (const mode of Object.keys(MODES) as Mode[])
  figures.push(await measure(mode, Number(values.rate), Number(values.seconds)));
const decisions = [
  await measureQuotaDecision('1000000/s by client'),
  await measureQuotaDecision('1000000/s by client; window 100000000/h; 1000000/s by ip'),
];
const report = [
  '# What a quota costs',
  '',
  `${values.rate} requests a second through one sidecar, ${values.seconds} s for each mode; \`exact\` is a global limit the usual way: a round trip to Redis for each request.`,
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
