import type { CheckedGateway } from './checked-gateway.ts';
import { type CheckedListenerSet, gatewayOfSet } from './checked-listener-set.ts';
import { IndexOf } from './index-of.ts';
import type { KeptDocument } from './kept-objects.ts';

/** ListenerSets by the Gateways that they name, whatever becomes of them. */
export class KnownListenerSets {
  private readonly documents = new Map<string, KeptDocument>();
  private readonly byGateway = new IndexOf();

  get(key: string): KeptDocument | undefined {
    return this.documents.get(key);
  }

  put(key: string, kept: KeptDocument): void {
    this.remove(key);
    this.documents.set(key, kept);
    const gateway = gatewayOfSet(kept);
    if (gateway !== undefined) this.byGateway.add(gateway, key);
  }

  remove(key: string): void {
    const gateway = this.gatewayOf(key);
    if (gateway !== undefined) this.byGateway.delete(gateway, key);
    this.documents.delete(key);
  }

  /** The Gateway that a ListenerSet names. */
  gatewayOf(key: string): string | undefined {
    const kept = this.documents.get(key);
    return kept === undefined ? undefined : gatewayOfSet(kept);
  }

  /** Those that name a Gateway. */
  of(gateway: string): KeptDocument[] {
    return [...this.byGateway.get(gateway)].flatMap((key) => this.documents.get(key) ?? []);
  }
}

/** What became of a Gateway's ListenerSets, by their keys. */
export function setsByKey(gateway: CheckedGateway | undefined): Map<string, CheckedListenerSet> {
  return new Map((gateway?.sets ?? []).map((set) => [`${set.document.namespace}/${set.document.name}`, set]));
}
