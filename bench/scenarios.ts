import type { GeneratorName } from './load/generator.ts';
import type { Hop, Protocol } from './proxies/peer.ts';
import { hostName, layOutRoutes } from './routing/layout.ts';

/** What is done to the proxies once they are up. */
type Work =
  | { kind: 'start' }
  | { kind: 'saturate'; generator: GeneratorName }
  | { kind: 'idle-connections'; count: number }
  | { kind: 'half-load' }
  | { kind: 'overload' };

/** One kind of work, the same for every peer. */
export interface Scenario {
  name: string;
  /** What it is, for the report. */
  title: string;
  work: Work;
  /** What a rate counts: requests, or what else there is. */
  unit: 'req' | 'msg' | 'MB' | 'conn';
  protocol: Protocol;
  /** The proxies on the way, the client's first. All of them run on the proxy core, and all of them count. */
  hops: readonly Pick<Hop, 'accepts' | 'speaks'>[];
  /** Connections of the client, all kept alive. */
  connections: number;
  /** The Host of every request: Tulle routes by it, the others only where there are routes. */
  host: string;
  path: string;
  /** Length of a request's body; 0 sends a GET. */
  requestBytes: number;
  /** Length of the answer's body. */
  responseBytes: number;
  /** Routes and services; 0 sends everything to one service, without a route. */
  routes: number;
  /** At most so many rounds: what takes long or scatters little. */
  rounds?: number;
}

/** Connections of wrk, unless a scenario says otherwise. */
export const connections = 64;
/** The name of the one service. */
const host = 'app.bench';

const small: Scenario = {
  name: '100b',
  title: 'HTTP/1.1, 100 B responses',
  work: { kind: 'saturate', generator: 'wrk' },
  unit: 'req',
  protocol: 'http',
  hops: [{ accepts: 'plain', speaks: 'plain' }],
  connections,
  host,
  path: '/bytes/100',
  requestBytes: 0,
  responseBytes: 100,
  routes: 0,
};

const meshHops: Scenario['hops'] = [
  { accepts: 'plain', speaks: 'mtls' },
  { accepts: 'mtls', speaks: 'plain' },
];

function sized(name: string, title: string, responseBytes: number): Scenario {
  return { ...small, name, title, path: `/bytes/${responseBytes}`, responseBytes };
}

const http2: Scenario = {
  ...small,
  name: 'h2',
  title: 'HTTP/2, 4 connections of 16 streams, 100 B responses',
  work: { kind: 'saturate', generator: 'h2load' },
  protocol: 'http2',
  rounds: 2,
};

function grpc(name: string, title: string, unit: Scenario['unit'], generator: GeneratorName): Scenario {
  return { ...http2, name, title, unit, protocol: 'grpc', work: { kind: 'saturate', generator } };
}

function stream(more: Pick<Scenario, 'name' | 'title' | 'unit' | 'protocol'>, generator: GeneratorName) {
  return { ...small, ...more, work: { kind: 'saturate', generator }, rounds: 2 } satisfies Scenario;
}

/** The last of so many routes is asked for. */
function routed(count: number): Scenario {
  const last = layOutRoutes(count).at(-1);
  return {
    ...small,
    name: `routes-${count}`,
    title: `HTTP/1.1, 100 B responses, ${count === 1 ? 'one route to one service' : `the last of ${count} routes to as many services`}`,
    host: hostName(last?.host ?? 0),
    path: `${last?.prefix}/bytes/100`,
    routes: count,
    rounds: 2,
  };
}

/** So many connections of clients are held idle. */
const idleConnections = 10_000;

/** All scenarios, in the report's order. */
export const scenarios: readonly Scenario[] = [
  { ...small, name: 'start', title: 'start and idle, no load', work: { kind: 'start' } },
  small,
  sized('16k', 'HTTP/1.1, 16 KiB responses', 16_384),
  sized('1m', 'HTTP/1.1, 1 MiB responses', 1_048_576),
  { ...small, name: 'post', title: 'HTTP/1.1, 10 KiB POST', path: '/upload', requestBytes: 10_240 },
  {
    ...small,
    name: 'mtls',
    title: 'mTLS to the upstream, 100 B responses',
    hops: [{ accepts: 'plain', speaks: 'mtls' }],
  },
  {
    ...small,
    name: 'mesh',
    title: 'client - proxy - mTLS - proxy - app, 100 B responses, both proxies counted',
    hops: meshHops,
  },
  http2,
  {
    ...http2,
    name: 'h2-16k',
    title: 'HTTP/2, 4 connections of 16 streams, 16 KiB responses',
    path: '/bytes/16384',
    responseBytes: 16_384,
  },
  {
    ...http2,
    name: 'h2-mesh',
    title: 'HTTP/2, client - proxy - mTLS - proxy - app, 100 B responses, both proxies counted',
    hops: meshHops,
  },
  grpc('grpc', 'gRPC, unary calls of 100 B', 'req', 'grpc-unary'),
  grpc('grpc-stream', 'gRPC, bidirectional streams, messages of 100 B to and fro', 'msg', 'grpc-stream'),
  {
    ...stream(
      { name: 'tcp', title: 'TCP, bytes from the application on 8 connections', unit: 'MB', protocol: 'tcp' },
      'drain',
    ),
    connections: 8,
  },
  stream(
    {
      name: 'tcp-connect',
      title: 'TCP, connect, echo of one byte, close',
      unit: 'conn',
      protocol: 'tcp',
    },
    'connect',
  ),
  stream(
    { name: 'websocket', title: 'WebSocket, echo of 32 B messages', unit: 'msg', protocol: 'websocket' },
    'websocket',
  ),
  routed(1),
  routed(100),
  routed(10_000),
  {
    ...small,
    name: 'half-load',
    title: "100 B responses at half of Envoy's peak: latency beyond that of the application alone",
    work: { kind: 'half-load' },
  },
  {
    ...small,
    name: 'overload',
    title: '100 B responses asked for at twice the peak',
    work: { kind: 'overload' },
    connections: 256,
    rounds: 2,
  },
  {
    ...small,
    name: 'idle-connections',
    title: `${idleConnections} idle connections after one request each`,
    work: { kind: 'idle-connections', count: idleConnections },
    rounds: 1,
  },
  {
    ...small,
    name: 'idle-connections-tls',
    title: `${idleConnections} idle connections by mTLS after one request each`,
    hops: [{ accepts: 'mtls', speaks: 'plain' }],
    work: { kind: 'idle-connections', count: idleConnections },
    rounds: 1,
  },
];
