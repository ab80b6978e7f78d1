import { constants } from 'node:crypto';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { BackendTls } from '../../protocol/backend-tls.ts';
import type { ListenerCertificate } from '../../protocol/gateway.ts';

/** Contexts by what they trust, then by what they present: a context with all public roots weighs a megabyte. */
const contexts = new WeakMap<object, WeakMap<object, SecureContext>>();
const PUBLIC = {};
const PRESENTS_NOTHING = {};

/** A client's context that trusts the authorities of `tls` only and presents `own`, or why there can be none. */
export function backendContext(
  tls: BackendTls,
  own: ListenerCertificate | undefined,
): SecureContext | string {
  const trusted = tls.authorities === 'system' ? PUBLIC : tls;
  let byOwn = contexts.get(trusted);
  if (byOwn === undefined) {
    byOwn = new WeakMap();
    contexts.set(trusted, byOwn);
  }
  let context = byOwn.get(own ?? PRESENTS_NOTHING);
  if (context !== undefined) return context;
  try {
    context = createSecureContext({
      // An empty list, not its absence: that would mean all public roots.
      ca: tls.authorities === 'system' ? publicAuthorities() : [...tls.authorities],
      minVersion: 'TLSv1.2',
      // Who was verified stays the peer.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ...(own !== undefined && { cert: own.certificate, key: own.key }),
    });
  } catch (error) {
    return `the certificates of BackendTLSPolicy ${tls.policy} or of the Gateway cannot be used: ${(error as Error).message}`;
  }
  byOwn.set(own ?? PRESENTS_NOTHING, context);
  return context;
}

/** Those of the image where it has some (SSL_CERT_FILE is honoured), else those that Node brings. */
function publicAuthorities(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? system : getCACertificates('bundled');
}
