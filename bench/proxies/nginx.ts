import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName } from '../certificates.ts';
import type { Hop, Peer } from './peer.ts';

/** What every nginx of the bench has around its servers: one worker, no log, connections that stay. */
export function nginxAround(directory: string, servers: string): string {
  // Started as root, nginx would run its worker as another user, who cannot enter the bench's directory.
  const user = process.getuid?.() === 0 ? 'user root root;' : '';
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${join(directory, name)};`)
    .join('\n');
  return `${user}
worker_processes 1;
daemon off;
pid ${join(directory, 'nginx.pid')};
error_log stderr warn;
events { worker_connections 4096; }
http {
${paths}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
${servers}
}
`;
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

function configuration(hop: Hop): string {
  return nginxAround(
    hop.directory,
    `  proxy_max_temp_file_size 0; # The default writes what a slow client leaves to a file; no other peer does.
  upstream next {
    server 127.0.0.1:${hop.next};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }
  server {
    listen 127.0.0.1:${hop.listen}${hop.accepts === 'mtls' ? ' ssl' : ''};
${hop.accepts === 'mtls' ? acceptTls(hop) : ''}
    location / {
      proxy_pass ${hop.speaks === 'mtls' ? 'https' : 'http'}://next;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
${hop.speaks === 'mtls' ? speakTls(hop) : ''}
    }
  }`,
  );
}

/** nginx as a reverse proxy: one worker, a pool of kept connections to the next. */
export function nginxPeer(command: string, version: string): Peer {
  return {
    name: 'nginx',
    version,
    configure(hop) {
      const file = join(hop.directory, 'nginx.conf');
      writeFileSync(file, configuration(hop));
      return { command, args: ['-c', file, '-e', 'stderr'] };
    },
  };
}
