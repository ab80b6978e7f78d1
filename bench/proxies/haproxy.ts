import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName } from '../certificates.ts';
import { hostName, layOutRoutes } from '../routing/layout.ts';
import type { Hop, Peer } from './peer.ts';

function isHttp2({ protocol }: Hop): boolean {
  return protocol === 'http2' || protocol === 'grpc';
}

function tls13(hop: Hop): string {
  const alpn = hop.protocol === 'tcp' ? '' : `alpn ${isHttp2(hop) ? 'h2' : 'http/1.1'}`;
  return `ssl-min-ver TLSv1.3 ${alpn}`;
}

function bind(hop: Hop): string {
  const { app, bundle } = hop.certificates;
  const tls = `ssl crt ${app.both} ca-file ${bundle} verify required ${tls13(hop)}`;
  // By TLS the ALPN says what is spoken.
  const protocol = hop.accepts === 'mtls' ? tls : isHttp2(hop) ? 'proto h2' : '';
  return `bind 127.0.0.1:${hop.listen} ${protocol}`;
}

function server(hop: Hop): string {
  const { client, bundle } = hop.certificates;
  const trust = `ca-file ${bundle} verify required verifyhost ${appName} sni str(${appName})`;
  const tls = `ssl crt ${client.both} ${trust} ${tls13(hop)}`;
  const protocol = hop.speaks === 'mtls' ? tls : isHttp2(hop) ? 'proto h2' : '';
  return `server next 127.0.0.1:${hop.next} ${protocol}`;
}

/** A map file from host and path to the backend, as HAProxy's manual recommends it for many. */
function routed(hop: Hop): string {
  const map = join(hop.directory, 'routes.map');
  const routes = layOutRoutes(hop.routes);
  const lines = routes.map(({ host, prefix, service }) => `${hostName(host)}${prefix}/ s${service}\n`);
  writeFileSync(map, lines.join(''));
  const backends = routes.map(({ service }) => `backend s${service}\n  ${server(hop)}\n`);
  return `frontend bench
  ${bind(hop)}
  use_backend %[base,map_beg(${map})]

${backends.join('')}`;
}

function configuration(hop: Hop): string {
  const clients = Math.max(4096, hop.clients + 100);
  return `global
  nbthread 1
  maxconn ${clients}
  no strict-limits

defaults
  mode ${hop.protocol === 'tcp' ? 'tcp' : 'http'}
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  ${hop.protocol === 'tcp' ? '' : 'http-reuse always'}

${hop.routes > 0 ? routed(hop) : `listen bench\n  ${bind(hop)}\n  ${server(hop)}\n`}`;
}

/** HAProxy with one thread, without a log, any idle connection to the next used again. */
export function haproxyPeer(command: string, version: string): Peer {
  return {
    name: 'haproxy',
    version,
    configure(hop) {
      const file = join(hop.directory, 'haproxy.cfg');
      writeFileSync(file, configuration(hop));
      return { command, args: ['-db', '-f', file] };
    },
  };
}
