import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';

interface Stored {
  metadata: { name: string; namespace?: string; resourceVersion?: string };
  [field: string]: unknown;
}

/** What was asked of it. */
interface Call {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Stored | undefined;
}

/** For faults that a real API server cannot be made to show: keeps objects by their path, and does as it is told. */
export interface FakeApiServer {
  readonly kubeConfig: KubeConfig;
  readonly calls: readonly Call[];
  /** Connections that were made to it. */
  readonly connections: number;
  /** Objects by path, like `/api/v1/namespaces/shop`. */
  readonly objects: ReadonlyMap<string, Stored>;
  /** Asked first; undefined: the objects answer. A promise holds the answer back. */
  intercept: (
    call: Call,
  ) => { status: number; body?: object } | undefined | Promise<{ status: number; body?: object } | undefined>;
  put(path: string, object: object): void;
  remove(path: string): void;
}

export async function fakeApiServer(context: TestContext): Promise<FakeApiServer> {
  const objects = new Map<string, Stored>();
  const calls: Call[] = [];
  const sockets = new Set<Socket>();
  const watchers = new Set<{ under: RegExp; response: ServerResponse }>();
  let version = 0;
  let connections = 0;
  const tell = (type: string, path: string, object: Stored): void => {
    for (const { under, response } of watchers)
      if (under.test(path)) response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const put = (path: string, object: object): Stored => {
    const known = objects.has(path);
    const stored = structuredClone(object) as Stored;
    const namespace = /\/namespaces\/([^/]+)\/[^/]+\/[^/]+$/.exec(path)?.[1];
    stored.metadata = {
      ...stored.metadata,
      resourceVersion: `${++version}`,
      ...(namespace !== undefined && { namespace }),
    };
    objects.set(path, stored);
    tell(known ? 'MODIFIED' : 'ADDED', path, stored);
    return stored;
  };
  const remove = (path: string): void => {
    const object = objects.get(path);
    objects.delete(path);
    if (object !== undefined) tell('DELETED', path, object);
  };
  const fake: FakeApiServer & { connections: number } = {
    kubeConfig: new KubeConfig(),
    calls,
    connections: 0,
    objects,
    intercept: () => undefined,
    put: (path, object) => void put(path, object),
    remove,
  };

  /** A merge patch of the subresource. */
  const patchedStatus = (path: string, body: Stored | undefined): { status: number; body?: object } => {
    const found = objects.get(path);
    if (found === undefined) return status(404);
    const { resourceVersion } = body?.metadata ?? {};
    if (resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion)
      return status(409);
    return {
      status: 200,
      body: put(path, { ...found, status: { ...(found.status as object), ...(body?.status as object) } }),
    };
  };
  const answered = ({ method, path, body }: Call): { status: number; body?: object } => {
    const found = objects.get(path);
    if (method === 'POST' && body !== undefined) {
      const own = `${path}/${body.metadata.name}`;
      return objects.has(own) ? status(409) : { status: 201, body: put(own, body) };
    }
    if (method === 'PATCH' && path.endsWith('/status'))
      return patchedStatus(path.slice(0, -'/status'.length), body);
    if (method === 'PATCH' && body !== undefined) return { status: 200, body: put(path, body) };
    if (found === undefined && method !== 'GET') return status(404);
    if (method === 'PUT' && body !== undefined) {
      const { resourceVersion } = body.metadata;
      const stale = resourceVersion !== undefined && resourceVersion !== found?.metadata.resourceVersion;
      return stale ? status(409) : { status: 200, body: put(path, body) };
    }
    if (found !== undefined) return { status: 200, body: found };
    if (!/s$/.test(path)) return status(404); // the name of no list
    const items = [...objects].filter(([name]) => below(path).test(name)).map(([, object]) => object);
    return { status: 200, body: { metadata: { resourceVersion: `${version}` }, items } };
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = '';
    for await (const part of request) text += part;
    const url = new URL(request.url ?? '/', 'http://fake');
    const call: Call = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body: text === '' ? undefined : (JSON.parse(text) as Stored),
    };
    calls.push(call);
    const told = await fake.intercept(call);
    if (told === undefined && call.query.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      const watcher = { under: below(call.path), response };
      watchers.add(watcher);
      response.on('close', () => watchers.delete(watcher));
      return;
    }
    const { status: code, body = {} } = told ?? answered(call);
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => void serve(request, response));
  server.on('connection', (socket) => {
    fake.connections = ++connections;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  fake.kubeConfig.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'test' },
  );
  return fake;
}

/** Objects of a list: of one namespace, or of all of them. */
function below(path: string): RegExp {
  const [, root = '', kind = ''] = /^(.*)\/([a-z]+)$/.exec(path) ?? [];
  return new RegExp(`^${root}/(namespaces/[^/]+/)?${kind}/[^/]+$`);
}

function status(code: number): { status: number; body: object } {
  return { status: code, body: { kind: 'Status', code, message: `status ${code}` } };
}
