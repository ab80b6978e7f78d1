import { randomBytes } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Identity } from './identity.ts';

const clientContexts = new WeakMap<Identity, SecureContext>();

/** TLS 1.3 with this identity, trusting its bundle only. */
export function contextOptions(identity: Identity): SecureContextOptions {
  return {
    key: identity.keyPem,
    cert: identity.chainPem,
    ca: [identity.bundlePem], // in a list: an empty text alone would mean all public roots
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
  };
}

/** The client side's context, made once for an identity. */
export function clientContext(identity: Identity): SecureContext {
  let context = clientContexts.get(identity);
  if (context === undefined) {
    context = createSecureContext(contextOptions(identity));
    clientContexts.set(identity, context);
  }
  return context;
}

/**
 * Keys of session tickets. They outlive a leaf, so that its renewal costs no full handshakes, but not a
 * bundle: who was trusted by a root that is gone must prove itself anew.
 */
export class TicketKeys {
  private bundle = '';
  private keys = randomBytes(48);

  for(identity: Identity): Buffer {
    if (identity.ticketKeys !== undefined) return identity.ticketKeys;
    if (identity.bundlePem !== this.bundle) {
      this.bundle = identity.bundlePem;
      this.keys = randomBytes(48);
    }
    return this.keys;
  }
}
