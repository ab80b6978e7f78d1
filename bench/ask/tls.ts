import { readFileSync } from 'node:fs';
import { appName, type Certificates } from '../certificates.ts';

/** What a client of the mesh needs to be `bench/client`. */
export interface ClientTls {
  cert: Buffer;
  key: Buffer;
  ca: Buffer;
  servername: string;
  /** Tulle takes its own from a peer of the mesh, all others the second. */
  ALPNProtocols: string[];
}

/** The client's side of mTLS as a proxy of the mesh would speak it. */
export function clientTls({ client, bundle }: Certificates): ClientTls {
  return {
    cert: readFileSync(client.cert),
    key: readFileSync(client.key),
    ca: readFileSync(bundle),
    servername: appName,
    ALPNProtocols: ['tulle/1+http/1.1', 'http/1.1'],
  };
}
