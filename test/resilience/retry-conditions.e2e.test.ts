import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../fixture/command.ts';
import { deadAddress } from '../fixture/free-port.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { askHttp1, trafficPolicy } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { answerOk, answerStatus, rawGrpcServer } from '../grpc/raw-server.ts';
import { ask, openSession } from '../http2/client.ts';
import { startHttp1, startHttp2 } from '../http2/server.ts';
import { sidecarOn } from './sidecar-process.ts';

const LIMIT = { timeout: 60_000 };
const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const QUICK = 'backoff 1ms..5ms';

type Protocol = 'http' | 'http2' | 'grpc';

/** What a server does with an attempt: a status, or `reset`, `refuse` its stream, say `goaway`, or `hang` for ever. */
type Manner = number | 'reset' | 'refuse' | 'goaway' | 'hang';

interface Case {
  /** The annotations, without their prefix. */
  readonly policy: Readonly<Record<string, string>>;
  /** Of an HTTPRoute's only rule. */
  readonly rule?: { readonly retry: object; readonly timeouts?: object };
  readonly method?: 'GET' | 'POST';
  /** On a connection that has served before. */
  readonly kept?: boolean;
  /** What the first attempts meet; those after them are served. */
  readonly manners: readonly Manner[];
  /** How many attempts there are, and the last status: of gRPC its own. */
  readonly expected: readonly [attempts: number, status: number];
}

const on = (conditions: string, more: Readonly<Record<string, string>> = {}) => ({
  retries: `2 on ${conditions} ${QUICK}`,
  ...more,
});
/** Long, so that what is served is served within it on a slow machine. */
const TIRED = { 'try-timeout': '2s' };
/** A rule that names no code. */
const ONCE = { retry: { attempts: 1 } };
const TIRED_ONCE = { ...ONCE, timeouts: { backendRequest: TIRED['try-timeout'] } };

const OF_HTTP: readonly Case[] = [
  { policy: {}, manners: [503], expected: [1, 503] },
  { policy: {}, manners: ['reset'], expected: [1, 502] },
  { policy: { retries: `2 on 503 ${QUICK}` }, manners: [503], expected: [2, 200] },
  { policy: on('503'), manners: [503, 503, 503], expected: [3, 503] },
  { policy: on('503'), manners: [500], expected: [1, 500] },
  { policy: on('503'), manners: ['reset'], expected: [1, 502] },
  { policy: on('503'), method: 'POST', manners: [503], expected: [1, 503] },
  { policy: on('503 for GET,POST'), method: 'POST', manners: [503, 503], expected: [3, 200] },
  { policy: on('429'), manners: [429], expected: [2, 200] },
  { policy: on('5xx'), manners: [500, 599], expected: [3, 200] },
  { policy: on('5xx'), manners: [429], expected: [1, 429] },
  { policy: on('reset'), manners: ['reset'], expected: [2, 200] },
  { policy: on('reset'), manners: [503], expected: [1, 503] },
  { policy: on('reset'), method: 'POST', manners: ['reset'], expected: [1, 502] },
  { policy: on('reset,503 for POST'), method: 'POST', manners: ['reset', 503], expected: [3, 200] },
  { policy: on('503', TIRED), manners: ['hang'], expected: [1, 504] },
  { policy: on('504', TIRED), manners: ['hang'], expected: [2, 200] },
  { policy: on('5xx', TIRED), manners: ['hang', 502], expected: [3, 200] },
  { policy: on('5xx', TIRED), method: 'POST', manners: ['hang'], expected: [1, 504] },
  { policy: { retries: '0' }, manners: [503], expected: [1, 503] },
  { policy: on('503', { 'retry-budget': '0%' }), manners: [503], expected: [1, 503] },
  // Of a rule the codes are added to all that is no answer.
  { policy: {}, rule: { retry: { codes: [503] } }, manners: [503], expected: [2, 200] },
  { policy: {}, rule: ONCE, manners: [503], expected: [1, 503] },
  { policy: {}, rule: ONCE, manners: ['reset'], expected: [2, 200] },
  { policy: {}, rule: ONCE, method: 'POST', manners: ['reset'], expected: [1, 502] },
  { policy: on('reset for POST'), rule: ONCE, method: 'POST', manners: ['reset'], expected: [1, 502] },
  { policy: {}, rule: TIRED_ONCE, manners: ['hang'], expected: [2, 200] },
  { policy: {}, rule: TIRED_ONCE, manners: ['hang', 'hang'], expected: [2, 504] },
  { policy: {}, rule: TIRED_ONCE, method: 'POST', manners: ['hang'], expected: [1, 504] },
];

/** On a kept connection nobody can tell a reset from one that the server had closed meanwhile. */
const OF_HTTP1: readonly Case[] = [
  ...OF_HTTP,
  { policy: {}, kept: true, manners: ['reset'], expected: [2, 200] },
  { policy: {}, kept: true, method: 'POST', manners: ['reset'], expected: [1, 502] },
];

/** Has surely not run, so it is made again by default, whatever the method. */
const OF_HTTP2: readonly Case[] = [
  ...OF_HTTP,
  { policy: {}, method: 'POST', manners: ['refuse'], expected: [2, 200] },
  { policy: {}, method: 'POST', kept: true, manners: ['goaway'], expected: [2, 200] },
  { policy: {}, method: 'POST', kept: true, manners: ['refuse', 'goaway'], expected: [3, 200] },
  { policy: { retries: '0' }, method: 'POST', manners: ['refuse'], expected: [1, 502] },
  { policy: on('refused-stream'), method: 'POST', manners: ['refuse', 'refuse'], expected: [3, 200] },
  { policy: on('refused-stream'), method: 'POST', kept: true, manners: ['goaway'], expected: [2, 200] },
  { policy: on('refused-stream'), manners: ['reset'], expected: [1, 502] },
  { policy: on('refused-stream'), manners: [503], expected: [1, 503] },
  // `on` is all of it: what it leaves out is not made again, be it what has not run.
  { policy: on('reset,5xx'), manners: ['refuse'], expected: [1, 502] },
  { policy: {}, rule: ONCE, method: 'POST', manners: ['refuse'], expected: [2, 200] },
];

const [CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE] = [1, 4, 8, 13, 14];

const OF_GRPC: readonly Case[] = [
  { policy: {}, manners: [UNAVAILABLE], expected: [1, UNAVAILABLE] },
  { policy: {}, manners: ['refuse'], expected: [2, 0] },
  { policy: {}, kept: true, manners: ['goaway'], expected: [2, 0] },
  { policy: on('unavailable'), manners: [UNAVAILABLE], expected: [2, 0] },
  { policy: on('unavailable'), manners: [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE], expected: [3, UNAVAILABLE] },
  { policy: on('unavailable'), manners: [INTERNAL], expected: [1, INTERNAL] },
  { policy: on('resource-exhausted'), manners: [RESOURCE_EXHAUSTED], expected: [2, 0] },
  { policy: on('internal'), manners: [INTERNAL], expected: [2, 0] },
  { policy: on('cancelled'), manners: [CANCELLED], expected: [2, 0] },
  { policy: on('deadline-exceeded'), manners: [DEADLINE_EXCEEDED], expected: [2, 0] },
  { policy: on('unavailable,internal'), manners: [UNAVAILABLE, INTERNAL], expected: [3, 0] },
  { policy: on('reset'), manners: ['reset'], expected: [1, UNAVAILABLE] },
  { policy: on('reset for POST'), manners: ['reset'], expected: [2, 0] },
  { policy: on('504 for POST', TIRED), manners: ['hang'], expected: [2, 0] },
  { policy: on('504', TIRED), manners: ['hang'], expected: [1, DEADLINE_EXCEEDED] },
  { policy: { retries: '0' }, manners: ['refuse'], expected: [1, UNAVAILABLE] },
  { policy: on('refused-stream'), manners: ['refuse'], expected: [2, 0] },
  { policy: on('refused-stream'), kept: true, manners: ['goaway'], expected: [2, 0] },
  { policy: on('refused-stream'), manners: [UNAVAILABLE], expected: [1, UNAVAILABLE] },
  { policy: on('unavailable'), manners: ['refuse'], expected: [1, UNAVAILABLE] },
  { policy: {}, rule: ONCE, manners: ['refuse'], expected: [2, 0] },
  { policy: {}, rule: TIRED_ONCE, manners: ['hang'], expected: [1, DEADLINE_EXCEEDED] },
  {
    policy: on('unavailable', { 'retry-budget': '0%' }),
    manners: [UNAVAILABLE],
    expected: [1, UNAVAILABLE],
  },
];

/** Attempts of each request, by its id; `x-manners` of a request says how they are met. */
type Attempts = Map<string, number>;

function mannerOf(attempts: Attempts, headers: IncomingHttpHeaders): Manner | undefined {
  const id = String(headers['x-request-id']);
  const before = attempts.get(id) ?? 0;
  attempts.set(id, before + 1);
  return (JSON.parse(String(headers['x-manners'])) as Manner[])[before];
}

function meet(stream: ServerHttp2Stream, manner: Manner, answer: (status: number) => void): void {
  if (manner === 'reset') stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else if (manner === 'refuse') stream.close(constants.NGHTTP2_REFUSED_STREAM);
  // The last that is served is the one before; Node cannot say that there is none.
  else if (manner === 'goaway') stream.session?.goaway(constants.NGHTTP2_NO_ERROR, (stream.id ?? 0) - 2);
  else if (manner !== 'hang') answer(manner);
}

/** Where an application of each protocol listens. */
function serve(context: TestContext, protocol: Protocol, attempts: Attempts): Promise<string> {
  if (protocol === 'grpc')
    return rawGrpcServer(context, (stream, headers) => {
      const manner = mannerOf(attempts, headers);
      if (manner === undefined) answerOk(stream);
      else meet(stream, manner, (status) => answerStatus(stream, status, 'told to'));
    });
  if (protocol === 'http2')
    return startHttp2(context, (stream, headers) => {
      stream.resume();
      const manner = mannerOf(attempts, headers);
      const answer = (status: number) => stream.respond({ ':status': status }, { endStream: true });
      if (manner === undefined) answer(200);
      else meet(stream, manner, answer);
    }).then(({ address }) => address);
  return startHttp1(context, (request, response) => {
    request.resume();
    const manner = mannerOf(attempts, request.headers);
    if (manner === 'reset') request.socket.destroy();
    else if (manner !== 'hang') response.writeHead(Number(manner ?? 200)).end();
  }).then(({ address }) => address);
}

/** Asks by one protocol; the status, of gRPC its own. */
type Ask = (host: string, method: string, headers: Record<string, string>) => Promise<number>;

async function askBy(context: TestContext, protocol: Protocol, outbound: string): Promise<Ask> {
  if (protocol === 'http')
    return async (host, method, headers) =>
      (await askHttp1(outbound, '/', { host, ...headers }, method)).status;
  const session = await openSession(context, outbound);
  if (protocol === 'http2')
    return async (host, method, headers) =>
      (await ask(session, { ':authority': host, ':method': method, ...headers })).status;
  return async (host, _method, headers) => {
    const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const answer = await ask(session, { ':authority': host, ...call, ...headers }, Buffer.alloc(5));
    return Number(answer.trailers['grpc-status'] ?? answer.headers['grpc-status']);
  };
}

/** Of callers of the Service `t/NAME`. */
function routeOf(name: string, rule: NonNullable<Case['rule']>): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 't' },
    spec: { parentRefs: [{ kind: 'Service', name }], rules: [{ ...rule, backendRefs: [{ name }] }] },
  };
}

for (const [protocol, cases] of [
  ['http', OF_HTTP1],
  ['http2', OF_HTTP2],
  ['grpc', OF_GRPC],
] as const)
  test(`${protocol}: what is made again, and how often, is what the policy says`, LIMIT, async (context) => {
    const attempts: Attempts = new Map();
    const address = await serve(context, protocol, attempts);
    // Every other policy is told by a TrafficPolicy instead of annotations.
    const services = cases.map(({ policy }, index) => ({
      ...{ name: `s${index}`, namespace: 't', port: 80, protocol, endpoints: [address] },
      annotations:
        index % 2 === 0
          ? Object.fromEntries(Object.entries(policy).map(([name, value]) => [`tulle.dev/${name}`, value]))
          : {},
    }));
    const policies = cases.flatMap(({ policy }, index) =>
      index % 2 === 0 || Object.keys(policy).length === 0
        ? []
        : [trafficPolicy(`p${index}`, { kind: 'Service', name: `s${index}` }, policy)],
    );
    const routes = cases.flatMap(({ rule }, index) =>
      rule === undefined ? [] : [routeOf(`s${index}`, rule)],
    );
    const { outbound } = await sidecarOn(context, { services, policies, routes });
    const askOnce = await askBy(context, protocol, outbound);
    const check = async (one: Case, index: number) => {
      const { policy, rule, method = 'GET', manners, kept, expected } = one;
      const headers = { 'x-manners': JSON.stringify(manners) };
      if (kept) await askOnce(`s${index}`, method, { 'x-request-id': 'first', 'x-manners': '[]' });
      const id = `${protocol}-${index}`;
      const status = await askOnce(`s${index}`, method, { ...headers, 'x-request-id': id });
      const what = `${method} by ${JSON.stringify(rule ?? policy)}, met by ${manners}`;
      assert.deepEqual([attempts.get(id), status], expected, what);
    };
    await Promise.all(cases.map(check));
  });

test(
  'by default an endpoint that refuses connections is passed over at once, whatever the method',
  LIMIT,
  async (context) => {
    const gone = await deadAddress();
    const attempts: Attempts = new Map();
    const protocols = ['http', 'http2', 'grpc'] as const;
    const balance = { 'tulle.dev/balance': 'round-robin', 'tulle.dev/circuit-breaker': 'off' };
    const services = await Promise.all(
      protocols.map(async (protocol) => ({
        ...{ name: protocol, namespace: 't', port: 80, protocol, annotations: balance },
        endpoints: [gone, await serve(context, protocol, attempts)],
      })),
    );
    const { outbound, explained } = await sidecarOn(context, { services });
    for (const protocol of protocols) {
      const one = await askBy(context, protocol, outbound);
      let passedOver = 0;
      for (let asked = 0; asked < 6; asked++) {
        const id = `${protocol}-${asked}`;
        const headers = { 'x-request-id': id, 'x-manners': '[]' };
        const status = await one(protocol, asked % 2 === 0 ? 'POST' : 'GET', headers);
        assert.equal(status, protocol === 'grpc' ? 0 : 200, id);
        const { attempts: made } = await explained(id);
        if (made.length === 2) passedOver++;
        assert.equal(made[0]?.result === 'connect-failed', made.length === 2, id);
        assert.equal(attempts.get(id), 1);
      }
      assert.ok(passedOver > 0, protocol);
    }
  },
);

test(
  'a policy that leaves out connect makes no failed connection again; one that names what is no condition is an error',
  LIMIT,
  async (context) => {
    const gone = await deadAddress();
    const at = (name: string, retries: string) => ({
      ...{ name, namespace: 't', port: 80, protocol: 'http', endpoints: [gone] },
      annotations: { 'tulle.dev/retries': retries },
    });
    const services = [
      at('named', `1 on connect ${QUICK}`),
      at('refused', `1 on refused-stream ${QUICK}`),
      at('codes', `1 on reset,5xx ${QUICK}`),
    ];
    const { outbound, explained } = await sidecarOn(context, { services });
    for (const [host, expected] of [
      ['named', 2],
      ['refused', 1],
      ['codes', 1],
    ] as const) {
      const { status } = await askHttp1(outbound, '/', { host, 'x-request-id': host });
      const { attempts } = await explained(host);
      assert.deepEqual([status, attempts.length], [503, expected], host);
    }
    const file = join(temporaryDir(context), 'mesh.yaml');
    const wrong = ['try-timeout', 'refused', 'GET', '302', 'unknown', '2xx'];
    writeMesh(file, { services: wrong.map((word, index) => at(`s${index}`, `1 on connect,${word}`)) });
    const { code, out } = await runCommand(process.execPath, [MAIN, 'check', file, '--json']);
    const { problems } = JSON.parse(out) as { problems: { message: string; meant: string }[] };
    assert.equal(code, 1);
    assert.deepEqual(
      problems.map(({ message }) => message),
      wrong.map((word) => `has "${word}", which is nothing to retry on`),
    );
    assert.match(
      problems[0]?.meant ?? '',
      /0 to 10 retries on connect, reset, refused-stream, 5xx, statuses/,
    );
  },
);

test(
  'what asks for a pause is waited for, or passed on where more is asked than is waited',
  LIMIT,
  async (context) => {
    const seen: number[] = [];
    const address = await rawGrpcServer(context, (stream, headers) => {
      seen.push(performance.now());
      if (seen.length % 2 === 0) answerOk(stream);
      else {
        const told = { 'grpc-status': '14', 'grpc-retry-pushback-ms': String(headers['x-pause']) };
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...told }, { endStream: true });
      }
    });
    const annotations = { 'tulle.dev/retries': `1 on unavailable ${QUICK}` };
    const service = {
      name: 'app',
      namespace: 't',
      port: 80,
      protocol: 'grpc',
      endpoints: [address],
      annotations,
    };
    const { outbound, metrics } = await sidecarOn(context, { services: [service] });
    const one = await askBy(context, 'grpc', outbound);
    assert.equal(await one('app', 'POST', { 'x-pause': '300' }), 0);
    const [first = 0, second = 0] = seen;
    assert.ok(second - first >= 299, `${second - first} ms`);
    assert.equal(await one('app', 'POST', { 'x-pause': '60000' }), 14);
    assert.equal(seen.length, 3);
    await until('it to be counted', async () => /why="asked"[^}]*\} 1/.test(await metrics()));
  },
);
