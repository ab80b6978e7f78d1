import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName, type Certificate, trustDomain } from '../certificates.ts';
import { hostName, routesByHost } from '../routing/layout.ts';
import type { Hop, Peer } from './peer.ts';

const types = 'type.googleapis.com/envoy.extensions';

function isHttp2({ protocol }: Hop): boolean {
  return protocol === 'http2' || protocol === 'grpc';
}

function tlsContext(hop: Hop, own: Certificate, peerWorkload: string) {
  return {
    ...(hop.protocol === 'tcp' ? {} : { alpn_protocols: [isHttp2(hop) ? 'h2' : 'http/1.1'] }),
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: { filename: own.cert }, private_key: { filename: own.key } }],
    validation_context: {
      trusted_ca: { filename: hop.certificates.bundle },
      match_typed_subject_alt_names: [
        { san_type: 'URI', matcher: { exact: `spiffe://${trustDomain}/ns/bench/sa/${peerWorkload}` } },
      ],
    },
  };
}

function acceptTls(hop: Hop) {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: tlsContext(hop, hop.certificates.app, 'client'),
    },
  };
}

function speakTls(hop: Hop) {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: appName,
      common_tls_context: tlsContext(hop, hop.certificates.client, 'app'),
    },
  };
}

function address(port: number) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** Without a time-out, as Istio sets it: Envoy's default would cost it a timer a request. */
function routeTo(cluster: string, prefix: string) {
  return { match: { prefix }, route: { cluster, timeout: '0s' } };
}

function virtualHosts({ routes }: Hop) {
  if (routes === 0) return [{ name: 'app', domains: ['*'], routes: [routeTo('next', '/')] }];
  return routesByHost(routes).map((ofHost, host) => ({
    name: `h${host}`,
    domains: [hostName(host)],
    routes: ofHost.map(({ prefix, service }) => routeTo(`s${service}`, `${prefix}/`)),
  }));
}

function connectionManager(hop: Hop) {
  return {
    name: 'http',
    typed_config: {
      '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'bench',
      codec_type: isHttp2(hop) ? 'HTTP2' : 'HTTP1',
      http_filters: [{ name: 'router', typed_config: { '@type': `${types}.filters.http.router.v3.Router` } }],
      ...(hop.protocol === 'websocket' ? { upgrade_configs: [{ upgrade_type: 'websocket' }] } : {}),
      route_config: { virtual_hosts: virtualHosts(hop) },
    },
  };
}

const tcpProxy = {
  name: 'tcp',
  typed_config: {
    '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: 'bench',
    cluster: 'next',
  },
};

const most = 1_000_000;
const thresholds = {
  max_connections: most,
  max_pending_requests: most,
  max_requests: most,
  max_retries: most,
};

const speakHttp2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  },
};

function cluster(hop: Hop, name: string) {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [thresholds] },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(hop.next) } }] }],
    },
    ...(isHttp2(hop) ? { typed_extension_protocol_options: speakHttp2 } : {}),
    ...(hop.speaks === 'mtls' ? { transport_socket: speakTls(hop) } : {}),
  };
}

function clusters(hop: Hop) {
  if (hop.routes === 0) return [cluster(hop, 'next')];
  return Array.from({ length: hop.routes }, (_, service) => cluster(hop, `s${service}`));
}

function configuration(hop: Hop) {
  const chain = {
    filters: [hop.protocol === 'tcp' ? tcpProxy : connectionManager(hop)],
    ...(hop.accepts === 'mtls' ? { transport_socket: acceptTls(hop) } : {}),
  };
  return {
    admin: { address: address(hop.admin) },
    static_resources: {
      listeners: [{ name: 'bench', address: address(hop.listen), filter_chains: [chain] }],
      clusters: clusters(hop),
    },
  };
}

/** Envoy with one worker thread, the router as its only filter, its statistics on as by default. */
export function envoyPeer(command: string, version: string): Peer {
  return {
    name: 'envoy',
    version,
    adminPath: '/ready',
    configure(hop) {
      const file = join(hop.directory, 'envoy.json');
      writeFileSync(file, JSON.stringify(configuration(hop), null, 2));
      return {
        command,
        args: ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'],
      };
    },
  };
}
