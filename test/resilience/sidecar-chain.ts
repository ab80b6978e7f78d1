import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { issueFiles } from '../../control-plane/authority/issue-files.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { askHttp1 } from '../fixture/two-ways.ts';
import { answerOk, answerStatus } from '../grpc/raw-server.ts';
import { ask, openSession } from '../http2/client.ts';
import { refuseStream, startEither } from '../http2/server.ts';

/** Services in a row. */
export const DEPTH = 4;

export type ChainProtocol = 'http' | 'http2' | 'grpc';

/** What an application answers: `fails` (503, UNAVAILABLE), a gRPC status of its own, or a stream that it refuses. */
type Manner = 'fails' | 'refuses' | number;

/** What somebody got of a call. */
interface Outcome {
  /** Of gRPC its own: 0 is fine. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Services `hop1` to `hop4`, each behind a sidecar process of its own, each calling the next for each request. */
export interface Chain {
  /** Calls hop1 through a caller's sidecar. */
  call(id: string, headers?: Record<string, string>): Promise<Outcome>;
  /** What came to each application since `reset`; hop 1 first. */
  readonly seen: IncomingHttpHeaders[][];
  /** What each application's calls were told by `tulle-no-retry` since then; '' by nothing. The last calls nobody. */
  readonly told: string[][];
  reset(): void;
  /** How each hop is called, hop 1 first. */
  protocols: readonly ChainProtocol[];
  /** What hop `hop`, from 1, answers without calling the next. */
  onHop: (hop: number) => Manner | undefined;
  /** What an application answers when its call failed so. */
  onFailure: (status: number) => Manner;
  /** What request ids applications give to their calls: those that they were called by, as meshes ask them to, or others. */
  ids: 'none' | 'handed on' | 'of their own';
  /** The `grpc-timeout` that applications give to their calls; '': none. */
  ownTimeout: string;
  /** The last hop is called where there is no budget for retries. */
  withoutBudget: boolean;
}

type Ask = (protocol: ChainProtocol, host: string, headers: Record<string, string>) => Promise<Outcome>;

/** Calls through one outbound listener, each by the protocol that it names. */
function caller(context: TestContext, outbound: string): Ask {
  let session: ReturnType<typeof openSession> | undefined;
  return async (protocol, host, headers) => {
    if (protocol === 'http') return askHttp1(outbound, '/', { host, ...headers });
    session ??= openSession(context, outbound);
    const asked = { ':authority': host, ...headers };
    if (protocol === 'http2') return ask(await session, asked);
    const call = { ...asked, ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const answer = await ask(await session, call, Buffer.alloc(5));
    const told = { ...answer.headers, ...answer.trailers };
    return { status: Number(told['grpc-status']), headers: told };
  };
}

/** One chain for all protocols: nobody says what a service speaks, and its application speaks what it is spoken to in. */
export async function sidecarChain(context: TestContext): Promise<Chain> {
  const dir = temporaryDir(context);
  const callers: Ask[] = [];
  const lists = () => Array.from({ length: DEPTH }, () => []);
  const chain: Chain = {
    call: () => Promise.reject(new Error('it is not running yet')),
    seen: lists(),
    told: lists(),
    reset() {
      for (const one of [...chain.seen, ...chain.told]) one.length = 0;
    },
    protocols: [],
    onHop: () => undefined,
    onFailure: () => 'fails',
    ids: 'none',
    ownTimeout: '',
    withoutBudget: false,
  };
  const callNext = (hop: number, headers: Record<string, string>): Promise<Outcome> => {
    const protocol = chain.protocols[hop] ?? 'http';
    const host = hop === DEPTH - 1 && chain.withoutBudget ? 'spent.shop' : `hop${hop + 1}.shop`;
    return callers[hop]?.(protocol, host, headers) ?? Promise.reject(new Error(`hop ${hop} calls nobody`));
  };
  /** What hop `hop` answers, once it has called the next; undefined: all is well. */
  const serve = async (hop: number, headers: IncomingHttpHeaders): Promise<Manner | undefined> => {
    chain.seen[hop - 1]?.push(headers);
    const manner = chain.onHop(hop);
    if (manner !== undefined || hop === DEPTH) return manner;
    const got = await callNext(hop, {
      ...(chain.ids === 'handed on' && { 'x-request-id': String(headers['x-request-id']) }),
      ...(chain.ids === 'of their own' && { 'x-request-id': randomUUID() }),
      ...(chain.ownTimeout !== '' && { 'grpc-timeout': chain.ownTimeout }),
    });
    chain.told[hop - 1]?.push(String(got.headers['tulle-no-retry'] ?? ''));
    return got.status === 0 || got.status === 200 ? undefined : chain.onFailure(got.status);
  };
  const sidecar = async (hop: number, next: string | undefined, ...more: string[]) => {
    const name = `hop${hop}`;
    const { cert, key, bundle } = await issueFiles(join(dir, 'ca'), 'mesh.local', `shop/${name}`);
    const below = {
      ...{ name: `hop${hop + 1}`, namespace: 'shop', port: 80 },
      annotations: {
        'tulle.dev/retries': '2 on connect,503,unavailable,internal,resource-exhausted backoff 1ms..5ms',
      } as Record<string, string>,
      endpoints: next === undefined ? [] : [{ address: next, identity: `shop/hop${hop + 1}` }],
    };
    const spent = { ...below, name: 'spent' };
    spent.annotations = { ...below.annotations, 'tulle.dev/retry-budget': '0%' };
    const file = join(dir, `${name}.yaml`);
    writeMesh(file, { services: [{ name, namespace: 'shop', port: 80 }, below, spent] });
    const identity = `${cert},${key},${bundle}`;
    const flags = ['--standalone', file, '--identity', identity, '--outbound', '127.0.0.1:0', ...more];
    const { ready } = await startTulle(context, 'sidecar', ...flags);
    callers[hop] = caller(context, ready.outbound ?? '');
    return ready;
  };
  let next: string | undefined;
  for (let hop = DEPTH; hop >= 1; hop--) {
    const application = await startEither(
      context,
      (request, response) =>
        void serve(hop, request.headers).then((how) => answerHttp1(request, response, how)),
      (stream, headers) => void serve(hop, headers).then((how) => answerStream(stream, headers, how)),
    );
    const workload = `shop/hop${hop}=${application}`;
    const ready = await sidecar(hop, next, '--inbound', '127.0.0.1:0', '--workload', workload);
    next = ready.inbound;
  }
  await sidecar(0, next, '--workload', 'shop/hop0=127.0.0.1:1');
  return Object.assign(chain, {
    call: (id: string, headers: Record<string, string> = {}) =>
      callNext(0, { 'x-request-id': id, ...headers }),
  });
}

function answerHttp1(request: IncomingMessage, response: ServerResponse, how: Manner | undefined): void {
  request.resume();
  response.writeHead(how === undefined ? 200 : 503).end();
}

function answerStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  how: Manner | undefined,
): void {
  stream.resume();
  const grpc = headers['content-type'] === 'application/grpc';
  if (how === 'refuses') refuseStream(stream);
  else if (!grpc) stream.respond({ ':status': how === undefined ? 200 : 503 }, { endStream: true });
  else if (how === undefined) answerOk(stream);
  else answerStatus(stream, how === 'fails' ? 14 : how, 'told to');
}
