import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trustDomain } from '../certificates.ts';
import { type BenchRoute, routesByHost } from '../routing/layout.ts';
import type { Hop, Peer, Protocol } from './peer.ts';

/** How a mesh file calls what the application speaks; a WebSocket begins as HTTP/1.1. */
const protocols: Readonly<Record<Protocol, string>> = {
  http: 'http',
  websocket: 'http',
  http2: 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
};

function service(hop: Hop, name: string, endpoint: unknown, annotations: Record<string, string> = {}) {
  const protocol = protocols[hop.protocol];
  return { name, namespace: 'bench', port: 8080, protocol, endpoints: [endpoint], annotations };
}

function nextEndpoint({ next, speaks }: Hop) {
  const address = `127.0.0.1:${next}`;
  return speaks === 'mtls' ? { address, identity: 'bench/app' } : address;
}

function httpRoute(host: number, routes: readonly BenchRoute[]) {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: `h${host}`, namespace: 'bench' },
    spec: {
      parentRefs: [{ kind: 'Service', name: `h${host}` }],
      rules: routes.map(({ prefix, service }) => ({
        matches: [{ path: { type: 'PathPrefix', value: prefix } }],
        backendRefs: [{ name: `s${service}` }],
      })),
    },
  };
}

/** In a mesh every host is a service too, so there are some more of them than the peers have. */
function routedMesh(hop: Hop) {
  const hosts = routesByHost(hop.routes);
  const endpoint = nextEndpoint(hop);
  return {
    services: [
      ...hosts.map((_, host) => service(hop, `h${host}`, endpoint)),
      ...hosts.flat().map((route) => service(hop, `s${route.service}`, endpoint)),
    ],
    routes: hosts.map((routes, host) => httpRoute(host, routes)),
  };
}

/** The side that accepts from the mesh refuses callers without a certificate, as the peers do. */
function inboundMesh(hop: Hop) {
  const endpoint = { address: `127.0.0.1:${hop.listen}`, identity: 'bench/app' };
  const annotations = { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'bench/client' };
  return { services: [service(hop, 'app', endpoint, annotations)] };
}

function mesh(hop: Hop): string {
  const outbound = hop.routes > 0 ? routedMesh(hop) : { services: [service(hop, 'app', nextEndpoint(hop))] };
  const parts = hop.accepts === 'mtls' ? inboundMesh(hop) : outbound;
  return JSON.stringify({ trustDomain, ...parts }, null, 2); // YAML holds JSON.
}

function identity(files: { cert: string; key: string }, bundle: string): string[] {
  return ['--identity', [files.cert, files.key, bundle].join(',')];
}

function listenFlags(hop: Hop): string[] {
  const { bundle, app, client } = hop.certificates;
  const listen = `127.0.0.1:${hop.listen}`;
  if (hop.accepts === 'mtls') {
    return ['--inbound', listen, '--workload', `bench/app=127.0.0.1:${hop.next}`, ...identity(app, bundle)];
  }
  // Bytes name no service, so they have a listener of the service's own.
  const outbound =
    hop.protocol === 'tcp' ? ['--outbound-service', `bench/app=${listen}`] : ['--outbound', listen];
  return [...outbound, ...(hop.speaks === 'mtls' ? identity(client, bundle) : [])];
}

/** Tulle's sidecar as it is shipped: its outbound side, or its inbound side before the application. */
export function tullePeer(main: string, version: string): Peer {
  // The bin has flags of its own in its first line; sources are run by this Node.
  const source = main.endsWith('.ts');
  return {
    name: 'tulle',
    version,
    adminPath: '/livez',
    configure(hop) {
      const file = join(hop.directory, 'mesh.yaml');
      writeFileSync(file, mesh(hop));
      const args = [
        'sidecar',
        '--standalone',
        file,
        '--namespace',
        'bench',
        '--admin',
        `127.0.0.1:${hop.admin}`,
        ...listenFlags(hop),
      ];
      return source ? { command: process.execPath, args: [main, ...args] } : { command: main, args };
    },
  };
}
