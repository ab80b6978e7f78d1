import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type AdmissionRequest, readReview, reviewAnswer, type Verdict } from './admission-review.ts';
import type { ServingCertificate } from './serving-certificate.ts';

/** An object may have 1.5 MiB in etcd, and an update brings the old one too. */
const MAX_BODY = 8 * 1024 * 1024;
/** Of all bodies that are being read: not only API servers can call, and memory is limited. */
const MAX_BODIES = 32 * 1024 * 1024;
const REQUEST_MS = 10_000;
const HEAD_MS = 5_000;
/** API servers close what was idle for 90 s: if it was closed here, a review might just have been sent into it. */
const IDLE_MS = 120_000;
/** How long requests may take that are being answered when the server is closed. */
const CLOSING_MS = 5_000;

const TOO_LARGE = `the body has more than ${MAX_BODY} bytes`;

/** By path: `/inject`, `/validate`. What rejects is answered as a denial that says why. */
export type Reviews = Readonly<Record<string, (request: AdmissionRequest) => Promise<Verdict>>>;

export interface Webhook {
  readonly address: string;
  /** New connections get this certificate. */
  serve(certificate: ServingCertificate): void;
  /** Serves on, and has callers that keep their connection come by another one: to another injector, which may be newer. */
  leave(): void;
  close(): Promise<void>;
}

/** Serves admission reviews by HTTPS. */
export async function openWebhook(
  listen: { readonly host?: string; readonly port: number },
  certificate: ServingCertificate,
  reviews: Reviews,
): Promise<Webhook> {
  const bodies = new Bodies();
  const server = createServer(
    { ...secureContext(certificate), minVersion: 'TLSv1.2', maxHeaderSize: 16 * 1024 },
    (request, response) => void answer(request, response, reviews, bodies),
  );
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = HEAD_MS;
  server.keepAliveTimeout = IDLE_MS;
  server.listen(listen);
  await once(server, 'listening');
  const { address, port, family } = server.address() as AddressInfo; // of a server that listens on TCP
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    serve: (fresh) => server.setSecureContext({ ...secureContext(fresh), minVersion: 'TLSv1.2' }),
    leave() {
      server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const late = setTimeout(() => server.closeAllConnections(), CLOSING_MS);
      await closed;
      clearTimeout(late);
    },
  };
}

function secureContext({ certificatePem, keyPem }: ServingCertificate): { cert: string; key: string } {
  return { cert: certificatePem, key: keyPem };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  reviews: Reviews,
  bodies: Bodies,
): Promise<void> {
  const refusal = refusalOf(request, reviews);
  if (refusal !== undefined) return refuse(response, ...refusal);
  const text = await bodyOf(request, bodies, () =>
    refuse(response, 503, 'too many large bodies at once, and this one is the oldest'),
  );
  if (response.headersSent) return;
  if (text === 'too large') return refuse(response, 413, TOO_LARGE);
  let review: AdmissionRequest;
  try {
    review = readReview(text);
  } catch (error) {
    return refuse(response, 400, error instanceof Error ? error.message : String(error));
  }
  const verdict = await verdictOf(review, reviews[request.url?.split('?', 1)[0] ?? '']);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(reviewAnswer(review.uid, verdict)));
}

/** HTTP's own reasons: no path, no method, no content type of ours. The API server adds `?timeout=5s` to the path. */
function refusalOf(
  { url = '', method, headers }: IncomingMessage,
  reviews: Reviews,
): [number, string] | undefined {
  if (!Object.hasOwn(reviews, url.split('?', 1)[0] ?? ''))
    return [404, `there are ${Object.keys(reviews).join(' and ')}`];
  if (method !== 'POST') return [405, 'POST an AdmissionReview'];
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    return [415, 'send an AdmissionReview as application/json'];
  return Number(headers['content-length'] ?? 0) > MAX_BODY ? [413, TOO_LARGE] : undefined;
}

/** Closes the connection: what is left of a body that was refused is not read. */
function refuse(response: ServerResponse, code: number, reason: string): void {
  response.writeHead(code, {
    'content-type': 'text/plain; charset=utf-8',
    connection: 'close',
    ...(code === 405 && { allow: 'POST' }),
  });
  response.end(`tulle injector: ${reason}\n`);
}

interface OpenBody {
  bytes: number;
  readonly refuse: () => void;
}

/** Bodies that are not whole yet. When they are too much together, the oldest goes: API servers send theirs in a moment. */
class Bodies {
  private bytes = 0;
  private readonly open = new Set<OpenBody>();

  begin(refuse: () => void): OpenBody {
    const body = { bytes: 0, refuse };
    this.open.add(body);
    return body;
  }

  grow(body: OpenBody, bytes: number): void {
    body.bytes += bytes;
    this.bytes += bytes;
    for (const oldest of this.open) {
      if (this.bytes <= MAX_BODIES) return;
      this.end(oldest);
      oldest.refuse();
    }
  }

  end(body: OpenBody): void {
    if (this.open.delete(body)) this.bytes -= body.bytes;
  }

  has(body: OpenBody): boolean {
    return this.open.has(body);
  }
}

/** The whole body. A client that goes away leaves a body that is no JSON; of one that is refused nothing is read any more. */
async function bodyOf(request: IncomingMessage, bodies: Bodies, refuse: () => void): Promise<string> {
  const chunks: Buffer[] = [];
  const body = bodies.begin(refuse);
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (!bodies.has(body)) return '';
      bodies.grow(body, chunk.length);
      if (body.bytes > MAX_BODY) return 'too large';
      chunks.push(chunk);
    }
  } catch {
    return '';
  } finally {
    bodies.end(body);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A pod that cannot be judged is not to run outside the mesh in silence. */
async function verdictOf(review: AdmissionRequest, judge: Reviews[string] | undefined): Promise<Verdict> {
  try {
    return judge === undefined ? { allowed: true } : await judge(review);
  } catch (error) {
    const message = `tulle injector: ${error instanceof Error ? error.message : String(error)}`;
    return { allowed: false, code: 500, message };
  }
}
