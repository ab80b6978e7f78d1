import type { TestContext } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { BackendTls } from '../../protocol/backend-tls.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import { splitAddress } from './connector.ts';

export const authority = await testAuthority('backend.test');

/** A policy that believes `authority` alone. */
export function policy(serverName: string, more: Partial<BackendTls> = {}): BackendTls {
  return { policy: 'shop/tls', serverName, authorities: [authority.bundlePem], names: [], ...more };
}

/** A certificate for host names, signed by `by`; `lifeMs` below 0: it has ended. */
export async function certified(
  names: readonly { readonly type: 'dns' | 'url'; readonly value: string }[],
  { by = authority, lifeMs = 3_600_000 } = {},
): Promise<{ key: string; cert: string }> {
  const { keyPem, chainPem } = await by.issue('t/app', { names: [...names], lifeMs });
  return { key: keyPem, cert: chainPem };
}

export function dns(...values: readonly string[]) {
  return values.map((value) => ({ type: 'dns' as const, value }));
}

export interface TlsBackend {
  readonly address: string;
  /** SNI of each connection. */
  readonly serverNames: (string | false)[];
  /** Common to what callers presented: the PEM of each that presented one. */
  readonly presented: string[];
  close(): Promise<void>;
}

/** A TLS server of no mesh. `onSocket`: what it says, by default one word, after its session tickets. */
export async function tlsBackend(
  context: TestContext,
  options: TlsOptions,
  { address = '127.0.0.1:0', onSocket = (socket: TLSSocket): void => void socket.write('word') } = {},
): Promise<TlsBackend> {
  const open = new Set<TLSSocket>();
  const serverNames: (string | false)[] = [];
  const presented: string[] = [];
  const server = createServer(options, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    serverNames.push(socket.servername ?? false);
    const certificate = socket.getPeerX509Certificate();
    if (certificate !== undefined) presented.push(certificate.toString());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(splitAddress(address), resolve));
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  context.after(() => void close()); // callers go after it
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return { address: `127.0.0.1:${port}`, serverNames, presented, close };
}
