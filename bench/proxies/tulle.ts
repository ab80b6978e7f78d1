import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trustDomain } from '../certificates.ts';
import type { Hop, Peer } from './peer.ts';

function mesh({ next, speaks }: Hop): string {
  const endpoint = `127.0.0.1:${next}`;
  const endpoints = speaks === 'mtls' ? [{ address: endpoint, identity: 'bench/app' }] : [endpoint];
  const app = { name: 'app', namespace: 'bench', port: 8080, protocol: 'http', endpoints };
  return JSON.stringify({ trustDomain, services: [app] }, null, 2); // YAML holds JSON.
}

/** The side that accepts from the mesh refuses callers without a certificate, as the peers do. */
function strictMesh(hop: Hop): string {
  const endpoints = [{ address: `127.0.0.1:${hop.listen}`, identity: 'bench/app' }];
  const annotations = { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'bench/client' };
  const app = { name: 'app', namespace: 'bench', port: 8080, protocol: 'http', endpoints, annotations };
  return JSON.stringify({ trustDomain, services: [app] }, null, 2);
}

function identity(files: { cert: string; key: string }, bundle: string): string[] {
  return ['--identity', [files.cert, files.key, bundle].join(',')];
}

/** Tulle's sidecar as it is shipped: its outbound side, or its inbound side before the application. */
export function tullePeer(main: string, version: string): Peer {
  // The bin has flags of its own in its first line; sources are run by this Node.
  const source = main.endsWith('.ts');
  return {
    name: 'tulle',
    version,
    configure(hop) {
      const file = join(hop.directory, 'mesh.yaml');
      const inbound = hop.accepts === 'mtls';
      writeFileSync(file, inbound ? strictMesh(hop) : mesh(hop));
      const { bundle, app, client } = hop.certificates;
      const side = inbound
        ? [
            '--inbound',
            `127.0.0.1:${hop.listen}`,
            '--workload',
            `bench/app=127.0.0.1:${hop.next}`,
            ...identity(app, bundle),
          ]
        : [
            '--outbound',
            `127.0.0.1:${hop.listen}`,
            ...(hop.speaks === 'mtls' ? identity(client, bundle) : []),
          ];
      const args = [
        'sidecar',
        '--standalone',
        file,
        '--namespace',
        'bench',
        '--admin',
        '127.0.0.1:0',
        ...side,
      ];
      return source ? { command: process.execPath, args: [main, ...args] } : { command: main, args };
    },
  };
}
