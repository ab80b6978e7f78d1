import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { type TestContext, test } from 'node:test';
import { request } from 'undici';
import { deadAddress } from '../fixture/free-port.ts';
import { meshProcesses } from '../fixture/mesh-pair.ts';
import { askHttp1 } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { answerOk, answerStatus } from '../grpc/raw-server.ts';
import { ask, openSession } from '../http2/client.ts';
import { startEither } from '../http2/server.ts';

const LIMIT = { timeout: 120_000 };
const PROTOCOLS = ['http', 'http2', 'grpc'] as const;
type Protocol = (typeof PROTOCOLS)[number];
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;
const POLICY_MS = 50_000;
const NEARER_MS = 20_000;

/** Answered `fails` times by a failure with `marks`; `never` not at all. */
interface Manner {
  readonly fails?: number;
  readonly marks?: OutgoingHttpHeaders;
  readonly never?: true;
}

/** What came to the application, by the request's `x-case`, and which of them ended without an answer. */
async function application(context: TestContext) {
  const seen = new Map<string, IncomingHttpHeaders[]>();
  const left = new Set<string>();
  const take = (headers: IncomingHttpHeaders) => {
    const id = String(headers['x-case']);
    const all = seen.get(id) ?? [];
    seen.set(id, all);
    all.push(headers);
    const { fails = 0, marks = {}, never = false } = JSON.parse(String(headers['x-manner'])) as Manner;
    return { id, never, failing: all.length <= fails, marks };
  };
  const address = await startEither(
    context,
    (request, response) => {
      const { failing, marks } = take(request.headers);
      response.writeHead(failing ? 503 : 200, failing ? marks : {}).end();
    },
    (stream, headers) => {
      const { id, never, failing, marks } = take(headers);
      stream.resume();
      stream.on('close', () => stream.rstCode !== 0 && left.add(id));
      const typed = { ':status': 200, 'content-type': 'application/grpc', ...marks };
      if (never) return;
      if (!failing) answerOk(stream);
      else if (Object.keys(marks).length === 0) answerStatus(stream, UNAVAILABLE, 'told to');
      else stream.respond({ ...typed, 'grpc-status': String(UNAVAILABLE) }, { endStream: true });
    },
  );
  return { address, seen, left };
}

/** What a stranger got; the status is that of gRPC for gRPC. */
interface Told {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

type Ask = (id: string, manner: Manner, headers?: Record<string, string>) => Promise<Told>;

async function strangerBy(context: TestContext, protocol: Protocol, gateway: string): Promise<Ask> {
  const tell = (id: string, manner: Manner) => ({ 'x-case': id, 'x-manner': JSON.stringify(manner) });
  if (protocol === 'http')
    return (id, manner, headers = {}) =>
      askHttp1(gateway, '/', { host: 'app.shop', ...tell(id, manner), ...headers });
  const session = await openSession(context, gateway);
  if (protocol === 'http2')
    return (id, manner, headers = {}) => ask(session, { ...tell(id, manner), ...headers });
  return async (id, manner, headers = {}) => {
    const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const answer = await ask(session, { ...call, ...tell(id, manner), ...headers }, Buffer.alloc(5));
    const told = { ...answer.headers, ...answer.trailers };
    return { status: Number(told['grpc-status']), headers: told };
  };
}

/** What an application was told to be left of the time, in ms. */
function leftMs(headers: IncomingHttpHeaders | undefined): number {
  const [, count, unit] = /^(\d+)([Smun])$/.exec(String(headers?.['grpc-timeout'])) ?? [];
  if (count === undefined) return Number(headers?.['tulle-timeout-ms']);
  return Number(count) * { S: 1000, m: 1, u: 0.001, n: 1e-6 }[unit as 'm'];
}

/** Strangers at a gateway before the service's sidecar. */
async function edge(context: TestContext, annotations: Record<string, string>) {
  const app = await application(context);
  const called = { name: 'app', application: app.address, annotations };
  const { gateway, gatewayAdmin } = await meshProcesses(context, called, { gateway: true });
  return { app, gateway, gatewayAdmin };
}

test(
  'what a stranger at a gateway says of time left and of attempts is taken off, and he is told no marks of the mesh',
  LIMIT,
  async (context) => {
    const { app, gateway } = await edge(context, {
      'tulle.dev/retries': '2 on 503,unavailable backoff 1ms..5ms',
    });
    for (const protocol of PROTOCOLS) {
      const stranger = await strangerBy(context, protocol, gateway);
      const fine = protocol === 'grpc' ? 0 : 200;
      const failed = protocol === 'grpc' ? UNAVAILABLE : 503;
      const lies = { 'tulle-timeout-ms': '0', 'tulle-attempt': '7' };

      const lied = `${protocol} lies`;
      assert.equal((await stranger(lied, {}, lies)).status, fine, lied);
      const [came] = app.seen.get(lied) ?? [];
      const marks = ['tulle-timeout-ms', 'tulle-attempt', 'grpc-timeout'].map((name) => came?.[name]);
      assert.deepEqual(marks, [undefined, undefined, undefined], lied);

      // A caller that retries itself would get no retry of the gateway's.
      const saved = `${protocol} saved`;
      assert.equal((await stranger(saved, { fails: 2 }, lies)).status, fine, saved);
      assert.deepEqual(
        app.seen.get(saved)?.map((headers) => headers['tulle-attempt']),
        [undefined, '2', '3'],
      );

      for (const [id, manner, attempts] of [
        [`${protocol} exhausted`, { fails: 9 }, 3],
        [`${protocol} marked`, { fails: 9, marks: { 'tulle-no-retry': 'below', 'tulle-not-run': 'x' } }, 1],
      ] as const) {
        const { status, headers } = await stranger(id, manner);
        assert.deepEqual([status, app.seen.get(id)?.length], [failed, attempts], id);
        for (const name of ['tulle-no-retry', 'tulle-not-run', 'tulle-attempt', 'tulle-retried'])
          assert.equal(headers[name], undefined, `${id} is told ${name}`);
      }
    }
  },
);

test(
  "a stranger's own deadline in gRPC holds where it is nearer than the policy's, makes none longer, and blames no endpoint",
  LIMIT,
  async (context) => {
    const { app, gateway, gatewayAdmin } = await edge(context, { 'tulle.dev/timeout': `${POLICY_MS}ms` });
    for (const protocol of PROTOCOLS) {
      const stranger = await strangerBy(context, protocol, gateway);
      const saying = (ms: number): Record<string, string> =>
        protocol === 'grpc' ? { 'grpc-timeout': `${ms}m` } : { 'tulle-timeout-ms': String(ms) };
      const nearest = protocol === 'grpc' ? NEARER_MS : POLICY_MS;
      for (const [said, headers, least, most] of [
        ['nothing', {}, 0, POLICY_MS],
        ['nearer', saying(NEARER_MS), nearest - NEARER_MS, nearest],
        ['farther', saying(2 * POLICY_MS), 0, POLICY_MS],
      ] as const) {
        const id = `${protocol} ${said}`;
        await stranger(id, {}, headers);
        const left = leftMs(app.seen.get(id)?.[0]);
        assert.ok(left > least && left <= most, `${id}: ${left} of ${most}`);
      }
    }
    const stranger = await strangerBy(context, 'grpc', gateway);
    const hasty = Array.from({ length: 20 }, (_, index) => `hasty-${index}`);
    const answers = await Promise.all(
      hasty.map((id) => stranger(id, { never: true }, { 'grpc-timeout': '2S' })),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      hasty.map(() => DEADLINE_EXCEEDED),
    );
    const arrived = hasty.filter((id) => app.seen.has(id));
    assert.ok(arrived.length >= 5, `${arrived.length} arrived`);
    await until('the end of their work at the application', () => arrived.every((id) => app.left.has(id)));
    const config = await (await fetch(`http://${gatewayAdmin}/config`)).text();
    assert.match(config, /"address"/);
    assert.doesNotMatch(config, /"circuit"/, 'five failures in a row would be told there');
  },
);

test(
  "a stranger who looks for addresses behind a gateway is told by no service's sidecar where its application is",
  LIMIT,
  async (context) => {
    const application = await deadAddress();
    const called = { name: 'app', application, annotations: {} };
    const { gateway } = await meshProcesses(context, called, { gateway: true });
    const { body, statusCode } = await request(`http://${gateway}/`, { headers: { host: 'app.shop' } });
    const text = await body.text();
    assert.equal(statusCode, 503);
    assert.equal(JSON.parse(text).code, 'connect-failed');
    const session = await openSession(context, gateway);
    const http2 = await ask(session, {});
    const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const grpc = await ask(session, call, Buffer.alloc(5));
    assert.equal(grpc.headers['grpc-status'], String(UNAVAILABLE));
    for (const told of [text, String(http2.body), JSON.stringify([grpc.headers, grpc.trailers])])
      assert.doesNotMatch(told, /127\.0\.0\.1|ECONNREFUSED/);
  },
);
