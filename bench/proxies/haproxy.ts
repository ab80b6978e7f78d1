import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appName } from '../certificates.ts';
import type { Hop, Peer } from './peer.ts';

const tls13 = 'ssl-min-ver TLSv1.3 alpn http/1.1';

function configuration({ listen, accepts, next, speaks, certificates }: Hop): string {
  const acceptTls = `ssl crt ${certificates.app.both} ca-file ${certificates.bundle} verify required ${tls13}`;
  const trust = `ca-file ${certificates.bundle} verify required verifyhost ${appName} sni str(${appName})`;
  const speakTls = `ssl crt ${certificates.client.both} ${trust} ${tls13}`;
  return `global
  nbthread 1
  maxconn 4096

defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always

listen bench
  bind 127.0.0.1:${listen} ${accepts === 'mtls' ? acceptTls : ''}
  server next 127.0.0.1:${next} ${speaks === 'mtls' ? speakTls : ''}
`;
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
