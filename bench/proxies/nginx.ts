import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName } from '../certificates.ts';
import { hostName, routesByHost } from '../routing/layout.ts';
import type { Hop, Peer } from './peer.ts';

interface Surroundings {
  directory: string;
  /** Connections of one worker, to both sides. */
  connections?: number;
  /** Before everything: modules. */
  head?: string;
}

/** What every nginx of the bench has around its blocks: one worker, no log. */
function around({ directory, connections = 4096, head = '' }: Surroundings, block: string): string {
  // Started as root, nginx would run its worker as another user, who cannot enter the bench's directory.
  const user = process.getuid?.() === 0 ? 'user root root;' : '';
  return `${head}${user}
worker_processes 1;
daemon off;
pid ${join(directory, 'nginx.pid')};
error_log stderr warn;
events { worker_connections ${connections}; }
${block}
`;
}

/** nginx for HTTP: connections that stay. */
export function nginxAround(surroundings: Surroundings, servers: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${join(surroundings.directory, name)};`)
    .join('\n');
  return around(
    surroundings,
    `http {
${paths}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
${servers}
}`,
  );
}

function acceptTls({ certificates }: Hop): string {
  return `    ssl_certificate ${certificates.app.cert};
    ssl_certificate_key ${certificates.app.key};
    ssl_protocols TLSv1.3;
    ssl_client_certificate ${certificates.bundle};
    ssl_verify_client on;`;
}

function speakTls({ certificates }: Hop): string {
  return `      proxy_ssl_certificate ${certificates.client.cert};
      proxy_ssl_certificate_key ${certificates.client.key};
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_trusted_certificate ${certificates.bundle};
      proxy_ssl_verify on;
      proxy_ssl_server_name on;
      proxy_ssl_name ${appName};`;
}

function upstream(name: string, { next, routes }: Hop): string {
  return `  upstream ${name} {
    server 127.0.0.1:${next};
    keepalive ${routes > 0 ? 64 : 256};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }`;
}

function pass(hop: Hop, name: string): string {
  if (hop.protocol === 'grpc') return `      grpc_pass grpc://${name};`;
  const websocket = hop.protocol === 'websocket';
  return `      proxy_pass ${hop.speaks === 'mtls' ? 'https' : 'http'}://${name};
      proxy_http_version 1.1;
      proxy_set_header Connection "${websocket ? 'upgrade' : ''}";
${websocket ? '      proxy_set_header Upgrade $http_upgrade;' : ''}
      proxy_set_header Host $http_host;
${hop.speaks === 'mtls' ? speakTls(hop) : ''}`;
}

function server(hop: Hop, index: number, locations: string): string {
  const http2 = hop.accepts === 'plain' && (hop.protocol === 'http2' || hop.protocol === 'grpc');
  const listen = `listen 127.0.0.1:${hop.listen}${hop.accepts === 'mtls' ? ' ssl' : ''}${http2 ? ' http2' : ''};`;
  return `  server {
    ${listen}
    server_name ${hostName(index)};
${hop.accepts === 'mtls' ? acceptTls(hop) : ''}
${locations}
  }`;
}

function servers(hop: Hop): string {
  if (hop.routes === 0) return server(hop, 0, `    location / {\n${pass(hop, 'next')}\n    }`);
  return routesByHost(hop.routes)
    .map((ofHost, host) => {
      const locations = ofHost.map(
        ({ prefix, service }) => `    location ${prefix}/ {\n${pass(hop, `s${service}`)}\n    }`,
      );
      return server(hop, host, locations.join('\n'));
    })
    .join('\n');
}

function upstreams(hop: Hop): string {
  if (hop.routes === 0) return upstream('next', hop);
  return Array.from({ length: hop.routes }, (_, service) => upstream(`s${service}`, hop)).join('\n');
}

function httpConfiguration(hop: Hop): string {
  const connections = Math.max(4096, hop.clients + 1000);
  return nginxAround(
    { directory: hop.directory, connections },
    `  proxy_max_temp_file_size 0; # The default writes what a slow client leaves to a file; no other peer does.
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 128;
${upstreams(hop)}
${servers(hop)}`,
  );
}

function streamConfiguration(hop: Hop, module: string): string {
  return around(
    { directory: hop.directory, head: `load_module ${module};\n` },
    `stream {
  server {
    listen 127.0.0.1:${hop.listen};
    proxy_pass 127.0.0.1:${hop.next};
    proxy_timeout 600s;
    tcp_nodelay on;
  }
}`,
  );
}

/**
 * nginx as a reverse proxy: one worker, a pool of kept connections to the next. `streamModule` is the file of the
 * module that relays TCP; without it, `configure` throws on such a hop.
 */
export function nginxPeer(command: string, version: string, streamModule: string | undefined): Peer {
  return {
    name: 'nginx',
    version,
    http1Behind: true,
    configure(hop) {
      const file = join(hop.directory, 'nginx.conf');
      if (hop.protocol === 'tcp' && streamModule === undefined) {
        throw new Error('nginx has no stream module here: apt-get install libnginx-mod-stream');
      }
      const text =
        hop.protocol === 'tcp' ? streamConfiguration(hop, streamModule ?? '') : httpConfiguration(hop);
      writeFileSync(file, text);
      return { command, args: ['-c', file, '-e', 'stderr'] };
    },
  };
}
