import type { Identity, IdentitySource } from '../identity/identity.ts';
import { readIdentity } from '../identity/read-identity.ts';
import type { IdentityMessage } from './messages.ts';

/** What node:tls takes. */
const TICKET_KEYS_BYTES = 48;

/** The identity of all workers, as the supervisor tells it to one of them. */
export class ToldIdentity implements IdentitySource {
  private identity: Identity | undefined = undefined;
  private readonly listeners = new Set<(identity: Identity) => void>();

  current(): Identity | undefined {
    return this.identity;
  }

  onChange(listener: (identity: Identity) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Why there is none, or no new one, is known to the supervisor, which tells it. */
  lastError(): string | undefined {
    return this.identity === undefined ? 'the supervisor has none yet' : undefined;
  }

  /** Throws an Error if it cannot be used. */
  take({ chainPem, keyPem, bundlePem, ticketKeys }: IdentityMessage): void {
    const keys = Buffer.from(ticketKeys, 'base64');
    if (keys.length !== TICKET_KEYS_BYTES)
      throw new Error(`${keys.length} bytes are no keys of session tickets`);
    const identity = { ...readIdentity(chainPem, keyPem, bundlePem), ticketKeys: keys };
    this.identity = identity;
    for (const listener of this.listeners) listener(identity);
  }

  close(): void {
    this.listeners.clear();
  }
}
