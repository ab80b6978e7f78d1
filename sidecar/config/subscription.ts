import type { Resource, ResourceKind } from '../../protocol/resources.ts';

/** Where a data plane's configuration comes from: a control plane, or a file. */
export interface Subscription {
  /** Resolves once the source was read; rejects if it can never be. A source without it is waited for by nobody. */
  readonly ready?: Promise<void>;
  /** Follows a resource; the first word about it comes by `onResource` or `onAbsent`. Asking twice is fine. */
  want(kind: ResourceKind, key: string): void;
  drop(kind: ResourceKind, key: string): void;
  onResource(listener: (resource: Resource) => void): void;
  onAbsent(listener: (kind: ResourceKind, key: string) => void): void;
  state(): SubscriptionState;
  /** Names of all gateways, where the source knows them without being asked for one. */
  gateways?(): string[];
  close(): void;
}

export interface SubscriptionState {
  readonly connected: boolean;
  /** Wall clock, ms. */
  readonly since: number;
  readonly trustDomain: string;
  readonly lastError?: string;
  readonly endpoint?: string;
}
