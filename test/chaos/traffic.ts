import { Agent, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { type Client, Metadata, type StatusObject } from '@grpc/grpc-js';
import { clientOf, duplex, unary } from '../grpc/calls.ts';
import { CUT, nowMs, type SentRequest } from './evidence.ts';
import type { ChaosMesh } from './mesh.ts';
import { bodyOf, CHAT, GREET, type Greeting, onwardId, streamLine } from './messages.ts';
import type { Part } from './part.ts';
import { GATEWAY, NAMESPACE } from './topology.ts';

/** A client waits longer than any policy of the mesh, so that it is the mesh that ends what takes too long. */
const PATIENCE_MS = 60_000;
/** Nobody but the client itself sees that an opaque peer is silent. */
const TCP_PATIENCE_MS = 15_000;
/** Of each client: what hits one endpoint is to hit some of them. */
const TCP_CONNECTIONS = 3;
const STREAM_LINES = 8;
const CHAT_MESSAGES = 5;
const AT_ONCE = 400;
const RAMP_S = 8;

/** What became of a request, before it is recorded. */
type Outcome = Pick<SentRequest, 'ok' | 'status' | 'reason' | 'detail' | 'mixedWith' | 'knownAs'>;

interface Way extends Pick<SentRequest, 'kind' | 'of' | 'entry' | 'services'> {
  readonly perSecond: number;
  /** A quota of its service may refuse it: that is an answer. */
  readonly limited?: boolean;
  send(id: string): Promise<Outcome>;
}

/** A steady mixed load of all protocols, each request with an id that its response must carry. */
export class Traffic {
  readonly requests: SentRequest[] = [];
  /** Successes in a row, by kind. */
  readonly streak = new Map<string, number>();
  private readonly mesh: ChaosMesh;
  private readonly ways: readonly Way[];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private readonly sessions = new Map<string, ClientHttp2Session>();
  private readonly tcp = new Map<string, TcpClient>();
  private readonly grpc: Client[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private readonly explaining = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined = undefined;
  private count = 0;

  constructor(mesh: ChaosMesh, share: number) {
    this.mesh = mesh;
    this.ways = this.allWays().map((way) => ({ ...way, perSecond: way.perSecond * share }));
  }

  get kinds(): string[] {
    return this.ways.map(({ kind }) => kind);
  }

  start(): void {
    const startMs = performance.now();
    const sent = new Map<Way, number>();
    this.timer = setInterval(() => {
      const passed = (performance.now() - startMs) / 1000;
      // Cold pools make a handshake for each request: the load grows to its rate over some seconds.
      const seconds = passed < RAMP_S ? passed ** 2 / (2 * RAMP_S) : passed - RAMP_S / 2;
      for (const way of this.ways) {
        const due = Math.floor(seconds * way.perSecond);
        for (let done = sent.get(way) ?? 0; done < due; done++)
          if (this.underWay.size < AT_ONCE) this.send(way);
        sent.set(way, due);
      }
    }, 10);
  }

  /** Sends no more, and waits for the answers that are still to come. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
    await Promise.all(this.explaining);
    this.agent.destroy();
    for (const session of this.sessions.values()) session.destroy();
    for (const client of this.tcp.values()) client.close();
    for (const client of this.grpc) client.close();
  }

  private send(way: Way): void {
    const id = `${way.entry}.${way.kind.replaceAll(' ', '-')}.${this.count++}`;
    const startMs = nowMs();
    const sending = way
      .send(id)
      .catch((error: Error): Outcome => failed(error.message))
      .then((outcome) => this.record(way, id, startMs, outcome))
      .finally(() => this.underWay.delete(sending));
    this.underWay.add(sending);
  }

  private record(way: Way, id: string, startMs: number, outcome: Outcome): void {
    const { kind, of, entry, services, limited } = way;
    const refused = limited === true && outcome.status === 429 && outcome.reason === 'rate-limited';
    const ok = outcome.ok || refused;
    const sent: SentRequest = { id, kind, of, entry, services, startMs, endMs: nowMs(), ...outcome, ok };
    const index = this.requests.push(sent) - 1;
    this.streak.set(kind, sent.ok ? (this.streak.get(kind) ?? 0) + 1 : 0);
    if (sent.ok || of === 'opaque') return;
    const asking = this.explained(sent).then((explanation) => {
      if (explanation !== '') this.requests[index] = { ...sent, explanation };
      this.explaining.delete(asking);
    });
    this.explaining.add(asking);
  }

  /** What its entry says of it, and the service on its way of the calls that it made for it. */
  private async explained({ id, entry, services, knownAs = id }: SentRequest): Promise<string> {
    const [between = ''] = services.length > 1 ? services : [];
    const onward = this.mesh
      .endpointsOf(between)
      .map(({ name, sidecar }) => explain(sidecar, onwardId(id, name)));
    const all = await Promise.all([explain(this.mesh.entry(entry), knownAs), ...onward]);
    return all.filter((one) => one !== undefined).join('');
  }

  private allWays(): Way[] {
    const direct = (
      service: string,
      entry: string,
      name: string,
      of: Way['of'],
      perSecond: number,
      ask: Http1Ask,
    ): Way => ({
      ...{ kind: `http1 ${name}`, of, entry, services: [service], perSecond },
      send: (id) => this.http1(String(this.mesh.entry(entry).ready.outbound), service, entry, id, ask),
    });
    const get = { method: 'GET', path: '/' };
    const post = { method: 'POST', path: '/', body: true };
    return [
      direct('orders', 'client-a', 'GET', 'safe', 40, get),
      direct('orders', 'client-b', 'PUT', 'safe', 20, { method: 'PUT', path: '/', body: true }),
      direct('orders', 'client-a', 'POST', 'once', 30, post),
      direct('orders', 'client-b', 'stream', 'once', 10, { method: 'POST', path: '/stream', stream: true }),
      { ...direct('tickets', 'client-a', 'limited GET', 'safe', 30, get), limited: true },
      { ...direct('tickets', 'client-b', 'limited POST', 'once', 30, post), limited: true },
      {
        ...{ kind: 'http1 gateway', of: 'safe', entry: GATEWAY, services: ['web', 'orders'], perSecond: 20 },
        send: (id) =>
          this.http1(String(this.mesh.entry(GATEWAY).ready.gateway), 'shop.test', GATEWAY, id, {
            method: 'GET',
            path: '/',
          }),
      },
      {
        ...{ kind: 'http2 GET', of: 'safe', entry: 'client-b', services: ['orders'], perSecond: 40 },
        send: (id) => this.http2('client-b', id),
      },
      this.greet('client-b'),
      this.chat('client-a'),
      ...['client-a', 'client-b'].map(
        (entry): Way => ({
          ...{ kind: `tcp ${entry}`, of: 'opaque', entry, services: ['store'], perSecond: 10 },
          send: (id) => this.tcpClient(entry, this.count % TCP_CONNECTIONS).ask(id),
        }),
      ),
    ];
  }

  private http1(address: string, host: string, client: string, id: string, ask: Http1Ask): Promise<Outcome> {
    const [hostname, port] = address.split(':');
    const headers = { host, 'x-chaos-id': id, 'x-chaos-client': client, 'x-request-id': id };
    const wanted = ask.stream === true ? streamOf(id) : bodyOf(id);
    return new Promise((resolve) => {
      let head: Pick<Outcome, 'status' | 'reason' | 'knownAs'> | undefined;
      const cut = (error: Error): void =>
        resolve(
          head === undefined ? failed(error.message) : { ...failed(`${CUT}${error.message}`), ...head },
        );
      const sent = request(
        { hostname, port, agent: this.agent, headers, method: ask.method, path: ask.path },
        (response) => {
          const status = response.statusCode ?? 0;
          const reason = String(response.headers['tulle-reason'] ?? '');
          const knownAs = String(response.headers['x-request-id'] ?? id);
          head = { status, reason, knownAs };
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.on('error', cut);
          response.on('end', () =>
            resolve({ ...judged(id, status, reason, text, wanted), ...(knownAs !== id && { knownAs }) }),
          );
        },
      );
      sent.setTimeout(PATIENCE_MS, () => sent.destroy(new Error(`silent for ${PATIENCE_MS} ms`)));
      // Node tells the request of an error in the middle of its response, too.
      sent.on('error', cut);
      sent.end(ask.body === true ? bodyOf(id) : undefined);
    });
  }

  private http2(entry: string, id: string): Promise<Outcome> {
    const headers = {
      ':authority': 'orders',
      ':path': '/',
      'x-chaos-id': id,
      'x-chaos-client': entry,
      'x-request-id': id,
    };
    return new Promise((resolve) => {
      const stream = this.session(entry).request(headers);
      let [status, reason, text] = [0, '', ''];
      stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error(`silent for ${PATIENCE_MS} ms`)));
      stream.on('response', (head) => {
        status = Number(head[':status']);
        reason = String(head['tulle-reason'] ?? '');
      });
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      stream.on('error', (error) =>
        resolve({ ...failed(`${status === 0 ? '' : CUT}${error.message}`), status, reason }),
      );
      stream.on('close', () =>
        resolve(
          status === 0 ? failed('closed without an answer') : judged(id, status, reason, text, bodyOf(id)),
        ),
      );
    });
  }

  private session(entry: string): ClientHttp2Session {
    const known = this.sessions.get(entry);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connectHttp2(`http://${this.mesh.entry(entry).ready.outbound}`);
    session.on('error', () => {});
    session.on('goaway', () => session.close());
    this.sessions.set(entry, session);
    return session;
  }

  private greet(entry: string): Way {
    const client = this.grpcClient(entry);
    return {
      ...{ kind: 'grpc unary', of: 'once', entry, services: ['greeter'], perSecond: 20 },
      async send(id) {
        const greeting = { id, client: entry };
        const { code, details, headers, trailers, response } = await unary(
          client,
          GREET,
          greeting,
          metadata(id, entry),
          {
            deadline: Date.now() + PATIENCE_MS,
          },
        );
        const reason = String(trailers.get('tulle-reason')[0] ?? headers.get('tulle-reason')[0] ?? '');
        return told(id, code, details, reason, response === undefined ? [] : [response]);
      },
    };
  }

  private chat(entry: string): Way {
    const client = this.grpcClient(entry);
    return {
      ...{ kind: 'grpc stream', of: 'once', entry, services: ['greeter'], perSecond: 5 },
      send(id) {
        const call = duplex(client, CHAT, metadata(id, entry), { deadline: Date.now() + PATIENCE_MS });
        const heard: Greeting[] = [];
        return new Promise((resolve) => {
          call.on('data', (greeting: Greeting) => {
            heard.push(greeting);
            if (heard.length < CHAT_MESSAGES) call.write({ id, client: entry });
            else call.end();
          });
          call.on('status', ({ code, details, metadata: trailers }: StatusObject) => {
            const reason = String(trailers.get('tulle-reason')[0] ?? '');
            const outcome = told(id, code, details, reason, heard);
            const whole = heard.length === CHAT_MESSAGES;
            resolve(
              outcome.ok && !whole ? { ...outcome, ok: false, detail: `${heard.length} messages` } : outcome,
            );
          });
          call.write({ id, client: entry });
        });
      },
    };
  }

  private grpcClient(entry: string): Client {
    const client = clientOf(
      { address: String(this.mesh.entry(entry).ready.outbound), authority: 'greeter' },
      {
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.min_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 500,
      },
    );
    this.grpc.push(client);
    return client;
  }

  private tcpClient(entry: string, number: number): TcpClient {
    const name = `${entry} ${number}`;
    const known = this.tcp.get(name);
    if (known !== undefined) return known;
    const bound = this.mesh.entry(entry).ready.outboundServices as Record<string, string>;
    const client = new TcpClient(bound[`${NAMESPACE}/store`] ?? '');
    this.tcp.set(name, client);
    return client;
  }
}

interface Http1Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: boolean;
  readonly stream?: boolean;
}

function streamOf(id: string): string {
  return Array.from({ length: STREAM_LINES }, (_, line) => streamLine(id, line)).join('');
}

function failed(detail: string): Outcome {
  return { ok: false, status: 0, reason: '', detail };
}

/** A response of success must be that of this request, to the last byte. */
function judged(id: string, status: number, reason: string, text: string, wanted: string): Outcome {
  if (status >= 400)
    return {
      ok: false,
      status,
      reason,
      detail: text.slice(0, 300),
      ...mixed(id, status === 409 ? text : ''),
    };
  if (text === wanted) return { ok: true, status, reason, detail: '' };
  if (wanted.startsWith(text))
    return { ok: false, status, reason, detail: `${text.length} of ${wanted.length} bytes` };
  return { ok: false, status, reason, detail: 'another body', mixedWith: text.slice(0, 120) };
}

function mixed(id: string, text: string): Pick<Outcome, 'mixedWith'> {
  return text === '' ? {} : { mixedWith: `${id} came with ${text.slice(0, 120)}` };
}

function metadata(id: string, client: string): Metadata {
  // As long as its channel waits to connect again, though the sidecar is back, a call would fail by itself.
  const made = new Metadata({ waitForReady: true });
  for (const [name, value] of Object.entries({
    'x-chaos-id': id,
    'x-chaos-client': client,
    'x-request-id': id,
  }))
    made.set(name, value);
  return made;
}

function told(id: string, code: number, detail: string, reason: string, heard: readonly Greeting[]): Outcome {
  const strange = heard.find((greeting) => greeting.id !== id);
  const mixedWith = strange === undefined ? {} : { mixedWith: strange.id };
  return {
    ok: code === 0 && strange === undefined,
    status: code === 0 ? 200 : reason === '' ? 0 : 503,
    reason,
    detail,
    ...mixedWith,
  };
}

/** Asks line by line on one connection, and makes another when that is gone. */
class TcpClient {
  private readonly address: string;
  private socket: Socket | undefined = undefined;
  private readonly waiting: { readonly line: string; settle(outcome: Outcome): void }[] = [];
  private rest = '';

  constructor(address: string) {
    this.address = address;
  }

  ask(line: string): Promise<Outcome> {
    this.socket ??= this.connect();
    const { socket } = this;
    return new Promise((settle) => {
      const timer = setTimeout(
        () => socket.destroy(new Error(`silent for ${TCP_PATIENCE_MS} ms`)),
        TCP_PATIENCE_MS,
      );
      this.waiting.push({
        line,
        settle(outcome) {
          clearTimeout(timer);
          settle(outcome);
        },
      });
      socket.write(`${line}\n`);
    });
  }

  close(): void {
    this.socket?.destroy();
  }

  private connect(): Socket {
    const [host = '', port = ''] = this.address.split(':');
    const socket = connectTcp({ host, port: Number(port), noDelay: true });
    let why = 'the connection ended';
    socket.setEncoding('utf8').on('data', (text: string) => this.read(text));
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      this.socket = undefined;
      this.rest = '';
      for (const { settle } of this.waiting.splice(0)) settle(failed(why));
    });
    return socket;
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const next = this.waiting.shift();
      if (next === undefined) continue;
      if (line === next.line) next.settle({ ok: true, status: 200, reason: '', detail: '' });
      else next.settle({ ...failed('another line'), mixedWith: line });
    }
  }
}

/** What a data plane says of a request; undefined: it has forgotten it, or is gone itself. */
async function explain(entry: Part, id: string): Promise<string | undefined> {
  try {
    const response = await fetch(`http://${entry.ready.admin}/explain/${id}`, {
      headers: { accept: 'text/plain' },
      signal: AbortSignal.timeout(3_000),
    });
    return response.ok ? await response.text() : undefined;
  } catch {
    return undefined;
  }
}
