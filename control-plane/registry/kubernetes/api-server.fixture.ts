import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { WatchTiming } from './resource-watch.ts';

/** Times for tests, in which nobody waits long. */
export const QUICK: WatchTiming = {
  idleMs: 60_000,
  answerMs: 60_000,
  backoffMs: 5,
  maxBackoffMs: 20,
  absentMs: 10,
  watchSeconds: 300,
};

export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
  };
}

/** What a request is answered with in place of what is stored; `hang`: nothing at all. */
export type Fault =
  | 'hang'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

export interface SeenRequest {
  readonly path: string;
  readonly watch: boolean;
  readonly query: URLSearchParams;
}

interface Watcher {
  readonly path: string;
  readonly response: ServerResponse;
}

/** Lists and watches as an API server does, and faults that a real one cannot be made to show. */
export class FakeApiServer {
  readonly requests: SeenRequest[] = [];
  /** Asked for each request. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  /** Objects on a page of a list; the client's limit is larger. */
  pageSize = 2;
  version = 100;
  private readonly stored = new Map<string, Map<string, StoredObject>>();
  private readonly watchers = new Set<Watcher>();
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private port = 0;

  constructor() {
    this.server = createServer((request, response) => this.answer(request, response));
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  /** Listens, after `close` on the port that it had. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    const bound = this.server.address();
    if (bound !== null && typeof bound === 'object') this.port = bound.port;
  }

  /** Goes away with all its connections. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  kubeConfig(): KubeConfig {
    const config = new KubeConfig();
    const server = `http://127.0.0.1:${this.port}`;
    config.loadFromClusterAndUser(
      { name: 'fake', server, skipTLSVerify: true },
      { name: 'me', token: 'secret' },
    );
    return config;
  }

  /** Says that a kind is installed. */
  install(...paths: string[]): void {
    for (const path of paths) if (!this.stored.has(path)) this.stored.set(path, new Map());
  }

  uninstall(path: string): void {
    this.stored.delete(path);
    this.endWatches(path);
  }

  put(path: string, object: StoredObject): void {
    this.install(path);
    const key = keyOf(object);
    const type = this.stored.get(path)?.has(key) === true ? 'MODIFIED' : 'ADDED';
    const versioned = { ...object, metadata: { ...object.metadata, resourceVersion: `${++this.version}` } };
    this.stored.get(path)?.set(key, versioned);
    this.write(path, `${JSON.stringify({ type, object: versioned })}\n`);
  }

  /** Without telling the watches: as if they had missed it. */
  removeSilently(path: string, key: string): void {
    this.version++;
    this.stored.get(path)?.delete(key);
  }

  remove(path: string, key: string): void {
    const object = this.stored.get(path)?.get(key);
    this.stored.get(path)?.delete(key);
    const metadata = { ...object?.metadata, resourceVersion: `${++this.version}` };
    this.write(path, `${JSON.stringify({ type: 'DELETED', object: { ...object, metadata } })}\n`);
  }

  /** Writes to all watches of a path, whatever it is. */
  write(path: string, text: string): void {
    for (const watcher of this.watchers) if (watcher.path === path) watcher.response.write(text);
  }

  /** Ends watches in good order. */
  endWatches(path: string): void {
    for (const watcher of this.watchers) if (watcher.path === path) watcher.response.end();
  }

  /** Resets watches in the middle of what they say. */
  resetWatches(path: string): void {
    for (const watcher of this.watchers) if (watcher.path === path) watcher.response.destroy();
  }

  watching(path: string): number {
    return [...this.watchers].filter((watcher) => watcher.path === path).length;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://fake');
    const seen = {
      path: url.pathname,
      watch: url.searchParams.get('watch') === 'true',
      query: url.searchParams,
    };
    this.requests.push(seen);
    const fault = this.fault(seen);
    if (fault === 'hang') return;
    const objects = this.stored.get(seen.path);
    if (request.headers.authorization !== 'Bearer secret') fail(response, { status: 401 });
    else if (fault !== undefined) fail(response, fault);
    else if (objects === undefined) fail(response, { status: 404 });
    else if (seen.watch) this.watch(seen, objects, response);
    else this.list(seen, objects, response);
  }

  private list({ query }: SeenRequest, objects: Map<string, StoredObject>, response: ServerResponse): void {
    const from = Number(query.get('continue') ?? 0);
    const all = [...objects.values()];
    const next = from + this.pageSize < all.length ? `${from + this.pageSize}` : '';
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        kind: 'List',
        metadata: { resourceVersion: `${this.version}`, ...(next !== '' && { continue: next }) },
        items: all.slice(from, from + this.pageSize),
      }),
    );
  }

  /** Begins with what came since the version that the client knows. */
  private watch(
    { path, query }: SeenRequest,
    objects: Map<string, StoredObject>,
    response: ServerResponse,
  ): void {
    const watcher = { path, response };
    this.watchers.add(watcher);
    response.on('close', () => this.watchers.delete(watcher));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const known = Number(query.get('resourceVersion'));
    for (const object of objects.values())
      if (Number(object.metadata.resourceVersion) > known)
        response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
  }
}

function fail(response: ServerResponse, { status, headers, body }: Exclude<Fault, 'hang'>): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body ?? JSON.stringify({ kind: 'Status', code: status, message: `told ${status}` }));
}

function keyOf({ metadata: { namespace, name } }: StoredObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
