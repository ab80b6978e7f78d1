import type { RequestHandler } from '../http/downstream.ts';
import type { Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { phrase } from '../http/phrases.ts';
import { ServerConnection } from '../http1/server-connection.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { Transport } from '../transport/transport.ts';
import { type Acceptor, accept } from './accept.ts';

/** A response as a whole. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Methods there are, where the request's is none of them (RFC 9110 section 15.5.6). */
  readonly allow?: string;
  /** What happens once it is sent: a drain may end this very connection. */
  readonly after?: () => void;
}

export function textPage(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body };
}

export function jsonPage(status: number, value: unknown): Page {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Makes the page that a request asks for. */
export type PageMaker = (head: MessageHead) => Promise<Page>;

const MAX_CONNECTIONS = 256;

export interface PageServer {
  readonly address: string;
  close(): void;
}

/**
 * Serves pages at an address, on the engine's own server side: node:http would cost every sidecar 11 MB. When as many
 * connections are open as may be, a new one is refused, or with `whenFull: 'close-oldest'` takes the place of the
 * oldest. Throws an error that names the address.
 */
export async function servePages(
  address: string,
  page: PageMaker,
  limits: Limits,
  wheel: TimerWheel,
  whenFull: 'refuse' | 'close-oldest' = 'refuse',
): Promise<PageServer> {
  // In the order in which they came.
  const open = new Set<ServerConnection>();
  const acceptor: Acceptor = await accept(address, (socket) => {
    if (open.size >= MAX_CONNECTIONS) {
      if (whenFull === 'refuse') {
        socket.destroy();
        return;
      }
      const [oldest] = open;
      oldest?.transport.destroy();
      if (oldest !== undefined) open.delete(oldest);
    }
    const connection = new ServerConnection(undefined as unknown as RequestHandler, limits, wheel);
    connection.handler = new PageHandler(connection, page, () => open.delete(connection));
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

/** Answers the requests of one connection. */
class PageHandler implements RequestHandler {
  private readonly server: ServerConnection;
  private readonly page: PageMaker;
  private readonly onGone: () => void;
  private head: MessageHead | undefined = undefined;

  constructor(server: ServerConnection, page: PageMaker, onGone: () => void) {
    this.server = server;
    this.page = page;
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
    this.page(head).then(
      (found) => this.send(found, isHead),
      (error: unknown) =>
        this.send(textPage(500, `${error instanceof Error ? error.message : String(error)}\n`), isHead),
    );
  }

  onRefused(problem: MessageProblem): void {
    this.send(textPage(problem.status, `${problem.detail}\n`), false);
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
