import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { ListenerCertificate } from '../../protocol/gateway.ts';
import type { ClientCheck } from './client-authorities.ts';

/** What a listener proves itself with to the world, ready to end TLS. */
export interface ServerCertificate {
  readonly source: ListenerCertificate;
  readonly leaf: X509Certificate;
  readonly context: SecureContext;
}

/**
 * For browsers and other strangers; between sidecars it is TLS 1.3 only. Without renegotiation: the name that was asked
 * for stays, and nobody has keys made again and again on one connection.
 */
export const FOR_STRANGERS = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions;

/** Where clients are checked. What was proved once must be proved each time: authorities change, certificates end. */
export const FOR_CHECKED_STRANGERS = {
  ...FOR_STRANGERS,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

export function serverContextOptions(
  { certificate, key }: ListenerCertificate,
  clients?: ClientCheck,
): SecureContextOptions {
  if (clients === undefined) return { ...FOR_STRANGERS, cert: certificate, key };
  return {
    ...FOR_CHECKED_STRANGERS,
    cert: certificate,
    key,
    ca: [...clients.authorities],
    // An authority is trusted for itself, whoever signed it.
    allowPartialTrustChain: true,
  };
}

/** Throws an Error that says why it cannot be used; the words hold nothing of the key. `clients`: how they are checked. */
export function readServerCertificate(source: ListenerCertificate, clients?: ClientCheck): ServerCertificate {
  const leaf = read(
    'the certificate is not PEM that can be read',
    () => new X509Certificate(source.certificate),
  );
  const key = read('the key is not PEM that can be read', () => createPrivateKey(source.key));
  if (!leaf.checkPrivateKey(key)) throw new Error('the key is not that of the certificate');
  const context = read('TLS cannot use it', () => createSecureContext(serverContextOptions(source, clients)));
  return { source, leaf, context };
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(code === undefined ? what : `${what} (${code})`);
  }
}

/** The one that is for `serverName`, else the first. */
export function certificateFor(
  certificates: readonly ServerCertificate[],
  serverName: string,
): ServerCertificate | undefined {
  const [first] = certificates;
  if (certificates.length < 2 || serverName === '') return first;
  return certificates.find(({ leaf }) => leaf.checkHost(serverName) !== undefined) ?? first;
}
