import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName, type Certificate, trustDomain } from '../certificates.ts';
import type { Hop, Peer } from './peer.ts';

const types = 'type.googleapis.com/envoy.extensions';

function tlsContext(bundle: string, own: Certificate, peerWorkload: string) {
  return {
    alpn_protocols: ['http/1.1'],
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: { filename: own.cert }, private_key: { filename: own.key } }],
    validation_context: {
      trusted_ca: { filename: bundle },
      match_typed_subject_alt_names: [
        { san_type: 'URI', matcher: { exact: `spiffe://${trustDomain}/ns/bench/sa/${peerWorkload}` } },
      ],
    },
  };
}

function acceptTls({ certificates }: Hop) {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: tlsContext(certificates.bundle, certificates.app, 'client'),
    },
  };
}

function speakTls({ certificates }: Hop) {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: appName,
      common_tls_context: tlsContext(certificates.bundle, certificates.client, 'app'),
    },
  };
}

function address(port: number) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

const connectionManager = {
  name: 'http',
  typed_config: {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    codec_type: 'HTTP1',
    http_filters: [{ name: 'router', typed_config: { '@type': `${types}.filters.http.router.v3.Router` } }],
    route_config: {
      virtual_hosts: [
        {
          name: 'app',
          domains: ['*'],
          // Without a time-out, as Istio sets it: Envoy's default would cost it a timer a request.
          routes: [{ match: { prefix: '/' }, route: { cluster: 'next', timeout: '0s' } }],
        },
      ],
    },
  },
};

const most = 1_000_000;

function cluster(hop: Hop) {
  const thresholds = {
    max_connections: most,
    max_pending_requests: most,
    max_requests: most,
    max_retries: most,
  };
  return {
    name: 'next',
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [thresholds] },
    load_assignment: {
      cluster_name: 'next',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(hop.next) } }] }],
    },
    ...(hop.speaks === 'mtls' ? { transport_socket: speakTls(hop) } : {}),
  };
}

function configuration(hop: Hop) {
  const chain = {
    filters: [connectionManager],
    ...(hop.accepts === 'mtls' ? { transport_socket: acceptTls(hop) } : {}),
  };
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [{ name: 'bench', address: address(hop.listen), filter_chains: [chain] }],
      clusters: [cluster(hop)],
    },
  };
}

/** Envoy with one worker thread, the router as its only filter, its statistics on as by default. */
export function envoyPeer(command: string, version: string): Peer {
  return {
    name: 'envoy',
    version,
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
