import { isIP } from 'node:net';
import type { RequestHandler } from '../http/downstream.ts';
import type { Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { phrase } from '../http/phrases.ts';
import { ServerConnection } from '../http1/server-connection.ts';
import { describe, type Explanation } from '../telemetry/explanation.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { Transport } from '../transport/transport.ts';
import { type Acceptor, accept } from './accept.ts';
import type { Readiness } from './admin-views.ts';

type Asked<T> = T | Promise<T>;

/** What the admin port shows, read when asked: of this process, or of several together. */
export interface AdminSources {
  ready(): Asked<Readiness>;
  /** The running tables, without secrets. */
  config(): Asked<unknown>;
  certs(): Asked<unknown>;
  metrics(): Promise<{ text: string; contentType: string }>;
  explain(id: string): Asked<Explanation | undefined>;
  recent(limit: number): Asked<Explanation[]>;
  drain(): void;
}

const PAGES = 'livez readyz metrics config certs explain explain/REQUEST-ID (POST) drain';
const RECENT = 100;
const MAX_CONNECTIONS = 256;

/**
 * Opens the admin port, on the engine's own server side: node:http would cost every sidecar 11 MB.
 * Throws an error that names the address.
 */
export async function openAdmin(
  address: string,
  sources: AdminSources,
  limits: Limits,
  wheel: TimerWheel,
): Promise<{ address: string; close: () => void }> {
  const open = new Set<ServerConnection>();
  const acceptor: Acceptor = await accept(address, (socket) => {
    if (open.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }
    const connection = new ServerConnection(undefined as unknown as RequestHandler, limits, wheel);
    connection.handler = new AdminHandler(connection, sources, () => open.delete(connection));
    open.add(connection);
    connection.open(Transport.adopt(connection, socket));
  });
  return {
    address: acceptor.address,
    close: () => {
      acceptor.stop();
      for (const connection of open) connection.transport.destroy();
    },
  };
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Methods there are, where the request's is none of them (RFC 9110 section 15.5.6). */
  readonly allow?: string;
  /** What happens once it is sent: a drain may end this very connection. */
  readonly after?: () => void;
}

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body };
}

function json(status: number, value: unknown): Page {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Answers the requests of one connection to the admin port. */
class AdminHandler implements RequestHandler {
  private readonly server: ServerConnection;
  private readonly sources: AdminSources;
  private readonly onGone: () => void;
  private head: MessageHead | undefined = undefined;

  constructor(server: ServerConnection, sources: AdminSources, onGone: () => void) {
    this.server = server;
    this.sources = sources;
    this.onGone = onGone;
  }

  onRequest(head: MessageHead): void {
    this.head = head;
  }

  onRequestData(): void {}

  /** Answered when the request is read whole: a body is thrown away. */
  onRequestEnd(): void {
    const { head } = this;
    if (head === undefined) return;
    this.head = undefined;
    const isHead = head.method === 'HEAD';
    page(head, this.sources).then(
      (found) => this.send(found, isHead),
      (error: unknown) =>
        this.send(text(500, `${error instanceof Error ? error.message : String(error)}\n`), isHead),
    );
  }

  onRefused(problem: MessageProblem): void {
    this.send(text(problem.status, `${problem.detail}\n`), false);
  }

  onRequestAborted(): void {
    this.head = undefined;
    this.server.abort();
  }

  onRequestFlush(): void {}
  onResponseWritable(): void {}
  onTunnelEnd(): void {}

  onDisconnected(): void {
    this.head = undefined;
    this.onGone();
  }

  private send({ status, type, body, allow, after }: Page, isHead: boolean): void {
    const bytes = Buffer.from(body);
    const close = this.server.willClose ? 'connection: close\r\n' : '';
    const methods = allow === undefined ? '' : `allow: ${allow}\r\n`;
    const head =
      `HTTP/1.1 ${status} ${phrase(status)}\r\ncontent-type: ${type}\r\ncontent-length: ${bytes.length}\r\n` +
      `cache-control: no-store\r\nx-content-type-options: nosniff\r\n${methods}${close}\r\n`;
    this.server.responseHead(head);
    if (!isHead) this.server.responseData(undefined, bytes, 0, bytes.length);
    this.server.responseEnd();
    after?.();
  }
}

/** A page in a browser must not reach this port by a name that it made resolve to it (DNS rebinding). */
function hostIsLocal(head: MessageHead): boolean {
  const name = (head.get('host') ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}

async function page(head: MessageHead, sources: AdminSources): Promise<Page> {
  const path = head.target.split('?', 1)[0] ?? '/';
  if (!hostIsLocal(head)) return text(403, 'the admin port is reached by localhost or an IP address only\n');
  if (path === '/drain') return drain(head, sources);
  if (head.method !== 'GET' && head.method !== 'HEAD') return notAllowed('GET, HEAD');
  switch (path) {
    case '/livez':
      return text(200, 'ok\n');
    case '/readyz': {
      const state = await sources.ready();
      return json(state.ready ? 200 : 503, state);
    }
    case '/metrics': {
      const metrics = await sources.metrics();
      return { status: 200, type: metrics.contentType, body: metrics.text };
    }
    case '/config':
      return json(200, await sources.config());
    case '/certs':
      return json(200, await sources.certs());
    case '/explain':
      return json(200, await sources.recent(RECENT));
    default:
      return path.startsWith('/explain/')
        ? explain(path.slice('/explain/'.length), head, sources)
        : text(404, `there are: ${PAGES}\n`);
  }
}

/** A page in a browser may post anywhere without asking, but it says that it is one. */
function drain(head: MessageHead, sources: AdminSources): Page {
  if (head.method !== 'POST') return notAllowed('POST');
  if (head.get('origin') !== undefined) return text(403, 'a page in a browser may not drain\n');
  return { ...text(202, 'draining\n'), after: () => sources.drain() };
}

function notAllowed(allow: string): Page {
  return { ...text(405, `there are: ${PAGES}\n`), allow };
}

async function explain(id: string, head: MessageHead, sources: AdminSources): Promise<Page> {
  const explanation = await sources.explain(id);
  if (explanation === undefined)
    return text(404, 'this proxy remembers no request of that id; only the newest are kept\n');
  return (head.get('accept') ?? '').includes('text/plain')
    ? text(200, describe(explanation))
    : json(200, explanation);
}
