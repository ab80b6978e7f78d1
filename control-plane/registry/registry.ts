import type { Resource, ResourceKind } from '../../protocol/resources.ts';

/** What changed: a resource's new state, or that it is gone. */
export interface Change {
  readonly kind: ResourceKind;
  readonly key: string;
}

/** Where services come from. */
export interface Registry {
  readonly trustDomain: string;
  /** `peer`: who asks, `namespace/serviceaccount`; some resources are not the same for all. */
  get(kind: ResourceKind, key: string, peer?: string): Resource | undefined;
  /**
   * From now on changes of a resource are told, whether it is there or not, until `unfollow` was called as often.
   * A registry that tells all changes has neither.
   */
  follow?(kind: ResourceKind, key: string): void;
  unfollow?(kind: ResourceKind, key: string): void;
  /** Only what differs from before is told; it may be the same as before for some peers. */
  onChange(listener: (changes: readonly Change[]) => void): void;
  /** Problems of the newest content, in words, and whether it is the one in force. */
  state(): { problems: readonly string[]; current: boolean };
  /** Whether a workload (`namespace/serviceaccount`) runs, as far as is known; true where that cannot be said. */
  runs?(workload: string): boolean;
  close(): void;
}
