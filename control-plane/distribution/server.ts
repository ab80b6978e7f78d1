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
import type { Authority } from '../authority/authority.ts';
import { AuthorityError } from '../authority/authority-error.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../registry/file-registry.ts';
import { ResourceStream } from './resource-stream.ts';

const MAX_BODY = 32 * 1024;
const PING_MS = 5_000;
const MAX_SESSIONS = 4096;
const DRAIN_MS = 1_000;
const STRANGER_MS = 10_000;

export interface ControlServer {
  /** HOST:PORT. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves sidecars over mTLS HTTP/2. Who has no certificate of the mesh is let go `strangerMs` after it last
 * began or ended a request. Throws an Error that names the address.
 */
export async function openControlServer(
  listen: { host: string; port: number },
  authority: Authority,
  registry: Registry,
  log: Log,
  strangerMs = STRANGER_MS,
): Promise<ControlServer> {
  const server = new Server(authority, registry, log, strangerMs);
  await server.start(listen);
  return server;
}

class Server implements ControlServer {
  address = '';
  private readonly authority: Authority;
  private readonly registry: Registry;
  private readonly log: Log;
  private readonly strangerMs: number;
  private http: Http2SecureServer | undefined = undefined;
  private readonly sessions = new Set<ServerHttp2Session>();
  /** Those too that have no session yet. */
  private readonly sockets = new Set<Socket>();
  private readonly streams = new Set<ResourceStream>();
  private renewal: NodeJS.Timeout | undefined = undefined;

  constructor(authority: Authority, registry: Registry, log: Log, strangerMs: number) {
    this.authority = authority;
    this.registry = registry;
    this.log = log;
    this.strangerMs = strangerMs;
  }

  async start({ host, port }: { host: string; port: number }): Promise<void> {
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
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(`cannot listen on ${host}:${port}: ${error.code ?? error.message}`)),
      );
      http.listen({ host, port }, resolve);
    });
    this.scheduleRenewal(own.renewAfterMs);
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
    if (this.sessions.size >= MAX_SESSIONS) {
      session.destroy();
      return;
    }
    this.sessions.add(session);
    session.on('error', () => {});
    const stop = keepAlive(session, PING_MS);
    if (this.peerOf(session) === undefined) limitStranger(session, this.strangerMs);
    session.on('close', () => {
      stop();
      this.sessions.delete(session);
    });
  }

  private onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {});
    const call = `${headers[':method']} ${headers[':path']}`;
    const peer = this.peerOf(stream.session);
    if (call === 'POST /v1/identity') void this.identity(stream, peer);
    else if (call !== 'POST /v1/resources')
      answer(stream, 404, {
        code: 'ERR_PATH',
        message: 'there are POST /v1/identity and POST /v1/resources',
      });
    else if (peer === undefined)
      answer(stream, 403, {
        code: 'ERR_NOT_ALLOWED',
        message: 'this needs a client certificate of the mesh',
      });
    else this.resources(stream, peer);
  }

  private resources(stream: ServerHttp2Stream, peer: string): void {
    const resources = new ResourceStream(stream, this.registry, peer, this.log);
    this.streams.add(resources);
    stream.on('close', () => this.streams.delete(resources));
  }

  /** Who proved itself by a certificate of this mesh, if anybody. */
  private peerOf(session: Http2Session | undefined): string | undefined {
    const socket = session?.socket as TLSSocket | undefined;
    if (socket?.authorized !== true) return undefined;
    const peer = peerWorkload(socket, this.authority.trustDomain);
    return 'workload' in peer ? peer.workload : undefined;
  }

  private async identity(stream: ServerHttp2Stream, peer: string | undefined): Promise<void> {
    try {
      const request = identityRequestSchema.parse(JSON.parse(await readBody(stream)));
      const response = await this.authority.answer(request, peer);
      this.log.info(
        {
          workload: peer ?? 'by token',
          serial: new X509Certificate(response.chain).serialNumber,
          notAfter: response.notAfter,
        },
        'a certificate was issued',
      );
      answer(stream, 200, response);
    } catch (error) {
      const known = error instanceof AuthorityError;
      const reason = known
        ? { code: error.code, message: error.message }
        : { code: 'ERR_REQUEST', message: 'the request for a certificate is malformed' };
      this.log.warn({ peer: peer ?? 'unknown', ...reason }, 'a certificate was refused');
      answer(stream, known ? 403 : 400, reason);
    }
  }

  /** Sends the sidecars elsewhere, then closes. They keep what they know. */
  async close(): Promise<void> {
    clearTimeout(this.renewal);
    for (const stream of this.streams) stream.bye('the control plane stops');
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
