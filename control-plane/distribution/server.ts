import { X509Certificate } from 'node:crypto';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { CONTROL_PLANE_WORKLOAD } from '../../protocol/control-messages.ts';
import { identityRequestSchema } from '../../protocol/identity-request.ts';
import { peerWorkload } from '../../protocol/peer.ts';
import { QUOTA_PATH } from '../../protocol/quotas/messages.ts';
import type { Authority } from '../authority/authority.ts';
import { AuthorityError } from '../authority/authority-error.ts';
import type { Log } from '../log.ts';
import { openMemoryStore } from '../quotas/memory-store.ts';
import { openQuotaServer, type QuotaServer } from '../quotas/quota-server.ts';
import type { QuotaStore } from '../quotas/quota-store.ts';
import type { QuotaNumbers } from '../quotas/quota-stream.ts';
import type { Registry } from '../registry/registry.ts';
import { Allowances } from './allowances.ts';
import { ResourceStream } from './resource-stream.ts';

const MAX_BODY = 32 * 1024;
const PING_MS = 5_000;
const MAX_SESSIONS = 4096;
/** What of them those without a certificate may have together, and the workloads of one namespace. */
const SHARE_OF_STRANGERS = 1 / 4;
const SHARE_OF_NAMESPACE = 1 / 2;
/** What the subscriptions of one namespace's workloads may take together, in bytes: some hundred thousand. */
const SUBSCRIPTION_BYTES = 64 * 1024 * 1024;
/** Certificates that one address may be asking for at once: each may be a question to the API server. */
const MAX_ASKING = 8;
/** Of one session: a sidecar has one, and others for a moment. */
const MAX_STREAMS = 4;
const PATHS = 'POST /v1/identity, POST /v1/resources and POST /v1/quotas';
const DRAIN_MS = 1_000;
const STRANGER_MS = 10_000;

export interface ControlServer {
  /** HOST:PORT. */
  readonly address: string;
  readonly numbers: ServerNumbers;
  /** Sends the sidecars to other replicas, one after the other in `overMs`; who comes is still served. */
  sendAway(overMs: number): Promise<void>;
  close(): Promise<void>;
}

/** What a control server counts. */
export interface ServerNumbers {
  /** Sidecars that follow resources now. */
  readonly sidecars: number;
  /** Certificates given since the start. */
  readonly issued: number;
  /** Certificates not given since the start, by reason code. */
  readonly refused: ReadonlyMap<string, number>;
  /** Sidecars that draw on quotas now. */
  readonly drawing: number;
  readonly quotas: QuotaNumbers;
}

export interface ControlServerOptions {
  /** Where quotas are counted; not closed with the server. Default: in memory. */
  readonly quotas?: QuotaStore;
  /** Who has no certificate of the mesh is let go so long after it last began or ended a request, in ms. */
  readonly strangerMs?: number;
  /** After so long, half of it more or less by chance, a sidecar is sent to another replica, in ms; without it never. */
  readonly streamAgeMs?: number;
  /** For tests. */
  readonly maxSessions?: number;
  /** For tests: what the subscriptions of a namespace may take. */
  readonly subscriptionBytes?: number;
}

/** Where to listen; without a host on all addresses, of IPv6 too where there is IPv6. */
export interface ListenAddress {
  readonly host?: string;
  readonly port: number;
}

/** Serves sidecars over mTLS HTTP/2. Throws an Error that names the address. */
export async function openControlServer(
  listen: ListenAddress,
  authority: Authority,
  registry: Registry,
  log: Log,
  options: ControlServerOptions = {},
): Promise<ControlServer> {
  const server = new Server(authority, registry, log, options);
  await server.start(listen);
  return server;
}

class Server implements ControlServer {
  address = '';
  private readonly authority: Authority;
  private readonly registry: Registry;
  private readonly log: Log;
  private readonly strangerMs: number;
  private readonly streamAgeMs: number | undefined;
  private readonly maxSessions: number;
  private issued = 0;
  private readonly refused = new Map<string, number>();
  private http: Http2SecureServer | undefined = undefined;
  private readonly sessions = new Set<ServerHttp2Session>();
  /** How many of them a namespace has; '': those without a certificate. */
  private readonly sessionsOf = new Map<string, number>();
  /** Those too that have no session yet. */
  private readonly sockets = new Set<Socket>();
  private readonly allowances: Allowances;
  private readonly streams = new Set<ResourceStream>();
  private readonly quotas: QuotaServer;
  /** How many certificates are asked for now, by address. */
  private readonly asking = new Map<string, number>();
  /** How many streams a session has. */
  private readonly following = new WeakMap<Http2Session, number>();
  private readonly drawing = new WeakMap<Http2Session, number>();
  private renewal: NodeJS.Timeout | undefined = undefined;
  private closed = false;

  constructor(authority: Authority, registry: Registry, log: Log, options: ControlServerOptions) {
    this.authority = authority;
    this.registry = registry;
    this.log = log;
    this.strangerMs = options.strangerMs ?? STRANGER_MS;
    this.streamAgeMs = options.streamAgeMs;
    this.maxSessions = options.maxSessions ?? MAX_SESSIONS;
    this.allowances = new Allowances(options.subscriptionBytes ?? SUBSCRIPTION_BYTES);
    this.quotas = openQuotaServer(options.quotas ?? openMemoryStore(), registry, log);
  }

  get numbers(): ServerNumbers {
    return {
      sidecars: this.streams.size,
      issued: this.issued,
      refused: this.refused,
      drawing: this.quotas.streams,
      quotas: this.quotas.numbers,
    };
  }

  async start({ host, port }: ListenAddress): Promise<void> {
    const own = await this.ownCertificate();
    const http = createSecureServer({
      ...own.context,
      // A first certificate is asked for without one: each path says what it needs.
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: false,
      handshakeTimeout: this.strangerMs,
      maxSessionMemory: 64,
      settings: { maxConcurrentStreams: 16 },
    });
    this.http = http;
    http.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    http.on('session', (session) => this.onSession(session));
    http.on('stream', (stream, headers) => this.onStream(stream as ServerHttp2Stream, headers)); // a server's streams are server streams
    http.on('sessionError', (error) => this.log.debug({ error: error.message }, 'a session failed'));
    this.registry.onChange((changes) => {
      for (const stream of this.streams) stream.onChanges(changes);
      this.quotas.onChanges(changes);
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(`cannot listen on ${host ?? '*'}:${port}: ${error.code ?? error.message}`)),
      );
      http.listen({ ...(host !== undefined && { host }), port }, resolve);
    });
    this.scheduleRenewal(own.renewAfterMs);
    // Who trusts the new root only must be able to connect, and be believed.
    this.authority.onChange(() => this.scheduleRenewal(0));
    const bound = http.address();
    if (bound === null || typeof bound === 'string') throw new Error('the control plane has no address');
    this.address =
      bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  /** The control plane proves itself by the authority that it serves. */
  private async ownCertificate() {
    const { keyPem, csrPem } = createCertificateRequest();
    const { chain, bundle, renewAfterMs } = await this.authority.issue(csrPem, CONTROL_PLANE_WORKLOAD);
    return {
      context: { key: keyPem, cert: chain, ca: bundle, minVersion: 'TLSv1.3' as const },
      renewAfterMs,
    };
  }

  private scheduleRenewal(afterMs: number): void {
    if (this.closed) return;
    clearTimeout(this.renewal);
    this.renewal = setTimeout(() => {
      this.ownCertificate().then(
        ({ context, renewAfterMs }) => {
          this.http?.setSecureContext(context);
          this.scheduleRenewal(renewAfterMs);
        },
        (error: unknown) => {
          this.log.error(
            { error: String(error) },
            "the control plane's own certificate could not be renewed",
          );
          this.scheduleRenewal(Math.max(1000, afterMs / 10));
        },
      );
    }, afterMs);
    this.renewal.unref();
  }

  private onSession(session: ServerHttp2Session): void {
    const peer = this.peerOf(session);
    const holder = peer?.split('/', 1)[0] ?? '';
    if (!this.hasRoom(holder)) {
      session.destroy();
      return;
    }
    this.sessions.add(session);
    this.sessionsOf.set(holder, (this.sessionsOf.get(holder) ?? 0) + 1);
    session.on('error', () => {});
    const stop = keepAlive(session, PING_MS);
    if (peer === undefined) limitStranger(session, this.strangerMs);
    session.on('close', () => {
      stop();
      this.sessions.delete(session);
      const left = (this.sessionsOf.get(holder) ?? 0) - 1;
      if (left > 0) this.sessionsOf.set(holder, left);
      else this.sessionsOf.delete(holder);
    });
  }

  /** Nobody has all: the pods of one tenant must not keep out those of the others. */
  private hasRoom(holder: string): boolean {
    const { maxSessions } = this;
    const share = holder === '' ? SHARE_OF_STRANGERS : SHARE_OF_NAMESPACE;
    return this.sessions.size < maxSessions && (this.sessionsOf.get(holder) ?? 0) < maxSessions * share;
  }

  private onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {});
    const call = `${headers[':method']} ${headers[':path']}`;
    const peer = this.peerOf(stream.session);
    if (call === 'POST /v1/identity') this.identityInTurn(stream, peer);
    else if (call !== 'POST /v1/resources' && call !== `POST ${QUOTA_PATH}`)
      answer(stream, 404, { code: 'ERR_PATH', message: `there are ${PATHS}` });
    else if (peer === undefined)
      answer(stream, 403, {
        code: 'ERR_NOT_ALLOWED',
        message: 'this needs a client certificate of the mesh',
      });
    else if (call !== 'POST /v1/resources') this.draws(stream, headers, peer);
    else if (!hold(this.following, stream))
      answer(stream, 429, { code: 'ERR_TOO_MANY', message: 'this session follows resources already' });
    else this.resources(stream, peer);
  }

  private resources(stream: ServerHttp2Stream, peer: string): void {
    const allowance = this.allowances.of(peer.split('/', 1)[0] ?? '');
    const resources = new ResourceStream(stream, this.registry, peer, allowance, this.log);
    this.streams.add(resources);
    const rebalance = this.rebalance(resources);
    stream.on('close', () => {
      clearTimeout(rebalance);
      this.streams.delete(resources);
    });
  }

  private draws(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string): void {
    if (hold(this.drawing, stream)) this.quotas.accept(stream, headers, peer);
    else answer(stream, 429, { code: 'ERR_TOO_MANY', message: 'this session draws on quotas already' });
  }

  /** Streams would stay where they are after replicas were added. */
  private rebalance(resources: ResourceStream): NodeJS.Timeout | undefined {
    if (this.streamAgeMs === undefined) return undefined;
    const ageMs = this.streamAgeMs * (0.5 + Math.random());
    const timer = setTimeout(() => resources.bye('connections are spread anew'), ageMs);
    return timer.unref();
  }

  /** Who proved itself by a certificate of this mesh, if anybody. */
  private peerOf(session: Http2Session | undefined): string | undefined {
    const socket = session?.socket as TLSSocket | undefined;
    if (socket?.authorized !== true) return undefined;
    const peer = peerWorkload(socket, this.authority.trustDomain);
    return 'workload' in peer ? peer.workload : undefined;
  }

  /** Who asks again and again, whatever he says to be, does not stand before the pods of others. */
  private identityInTurn(stream: ServerHttp2Stream, peer: string | undefined): void {
    const address = stream.session?.socket.remoteAddress ?? '';
    const asking = this.asking.get(address) ?? 0;
    if (asking >= MAX_ASKING) {
      const message = `this address asks for ${MAX_ASKING} certificates already: try again`;
      this.refuse(stream, peer, new AuthorityError('ERR_UNAVAILABLE', message));
      return;
    }
    this.asking.set(address, asking + 1);
    void this.identity(stream, peer).finally(() => {
      const left = (this.asking.get(address) ?? 0) - 1;
      if (left > 0) this.asking.set(address, left);
      else this.asking.delete(address);
    });
  }

  private async identity(stream: ServerHttp2Stream, peer: string | undefined): Promise<void> {
    try {
      const request = identityRequestSchema.parse(JSON.parse(await readBody(stream)));
      const { workload, pod, response } = await this.authority.answer(request, peer);
      this.issued++;
      this.log.info(
        {
          workload,
          ...(pod !== undefined && { pod }),
          by: request.token === undefined ? 'certificate' : 'token',
          serial: new X509Certificate(response.chain).serialNumber,
          notAfter: response.notAfter,
        },
        'a certificate was issued',
      );
      answer(stream, 200, response);
    } catch (error) {
      this.refuse(stream, peer, error);
    }
  }

  private refuse(stream: ServerHttp2Stream, peer: string | undefined, error: unknown): void {
    const known = error instanceof AuthorityError;
    const reason = known
      ? { code: error.code, message: error.message }
      : { code: 'ERR_REQUEST', message: 'the request for a certificate is malformed' };
    this.refused.set(reason.code, (this.refused.get(reason.code) ?? 0) + 1);
    this.log.warn({ peer: peer ?? 'unknown', ...reason }, 'a certificate was not given');
    answer(stream, known ? statusOf(error.code) : 400, reason);
  }

  async sendAway(overMs: number): Promise<void> {
    const streams = [...this.streams];
    for (const stream of streams) {
      stream.bye('the control plane stops');
      await new Promise((resolve) => setTimeout(resolve, overMs / streams.length));
    }
  }

  /** Sends the sidecars elsewhere, then closes. They keep what they know. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.renewal);
    for (const stream of this.streams) stream.bye('the control plane stops');
    this.quotas.close();
    const http = this.http;
    if (http === undefined) return;
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        for (const session of this.sessions) session.destroy();
        for (const socket of this.sockets) socket.destroy();
      }, DRAIN_MS);
      http.close(() => {
        clearTimeout(force);
        resolve();
      });
      for (const session of this.sessions) session.close();
    });
  }
}

/** Counts a stream of a session while it is open; false if the session has too many of its kind. */
function hold(counts: WeakMap<Http2Session, number>, stream: ServerHttp2Stream): boolean {
  const { session } = stream;
  if (session === undefined) return false;
  const count = counts.get(session) ?? 0;
  if (count >= MAX_STREAMS) return false;
  counts.set(session, count + 1);
  stream.on('close', () => counts.set(session, (counts.get(session) ?? 1) - 1));
  return true;
}

/** Finds out half-open connections: a ping without an answer ends the session. Returns how to stop. */
function keepAlive(session: ServerHttp2Session, everyMs: number): () => void {
  let answered = true;
  const timer = setInterval(() => {
    if (!answered) {
      session.destroy();
      return;
    }
    answered = false;
    if (!session.destroyed) session.ping(() => (answered = true));
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Strangers must not hold the sessions of others, be it in silence or with a request that they never finish. */
function limitStranger(session: ServerHttp2Session, afterMs: number): void {
  const timer = setTimeout(() => session.destroy(), afterMs);
  timer.unref();
  session.on('stream', (stream: ServerHttp2Stream) => {
    timer.refresh();
    stream.on('close', () => timer.refresh());
  });
  session.on('close', () => clearTimeout(timer));
}

/** 503 says that it is worth to ask again. */
function statusOf(code: AuthorityError['code']): number {
  return code === 'ERR_UNAVAILABLE' ? 503 : 403;
}

function answer(stream: ServerHttp2Stream, status: number, body: object): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify(body));
  // Of a request that was not read to its end, no more is wanted (RFC 9113 section 8.1).
  if (!stream.readableEnded) stream.close();
}

async function readBody(stream: ServerHttp2Stream): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  // Not destroyed when it is too long: the answer says so.
  for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_BODY) throw new Error('the body is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
