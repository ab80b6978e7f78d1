import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import { Cluster, type ClusterParts } from '../balancing/cluster.ts';
import type { Subscription } from '../config/subscription.ts';
import { composeChain } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { FirstWord } from './first-word.ts';
import type { Pending, Plan } from './plan.ts';
import { isAway } from './workload.ts';

/** An address that nobody connects to for so long is no longer followed, as services are (DESIGN section 5). */
const UNUSED_MS = 90_000;
/** Addresses are the application's to choose: the longest unused make room beyond so many. */
const MAX_FOLLOWED = 4096;
/** As long as the kernel itself would try: what is no service must fail when it would have failed, not before. */
const PASSING_CONNECT_MS = 130_000;
/** What passes through is counted together: the world has too many addresses for a label. */
const PASSTHROUGH = 'passthrough';

/** Where a captured connection goes: to a service of the mesh, or on to where it was going. */
export type Whereto = { readonly service: ServiceKey } | { readonly passing: Plan };

/** Addresses to which connections were captured, and what the control plane says stands there. */
export class RunningAddresses {
  private readonly addresses = new Map<string, RunningAddress>();
  private readonly subscription: Subscription;
  private readonly parts: ClusterParts;
  private readonly sweeper: NodeJS.Timeout;

  constructor(subscription: Subscription, parts: ClusterParts) {
    this.subscription = subscription;
    this.parts = { ...parts, connectMs: PASSING_CONNECT_MS };
    subscription.onResource((resource) => {
      if (resource.kind === 'address') this.addresses.get(resource.key)?.tell(resource.service);
    });
    subscription.onAbsent((kind, key) => {
      if (kind === 'address') this.addresses.get(key)?.tell(undefined);
    });
    this.sweeper = setInterval(() => this.dropUnused(), UNUSED_MS / 6);
    this.sweeper.unref();
  }

  /** Where connections to `key`, `IP:PORT`, go; a wait while nothing is known of it and somebody may tell. */
  whereto(key: string, nowMs: number): Whereto | Pending {
    const address = this.use(key);
    address.lastUsedMs = nowMs;
    if (address.service !== undefined) return { service: address.service };
    if (!address.told && address.firstWord.mayCome && !isAway(this.subscription)) return address.firstWord;
    return { passing: address.passing(this.parts) };
  }

  private use(key: string): RunningAddress {
    const known = this.addresses.get(key);
    if (known !== undefined) return known;
    if (this.addresses.size >= MAX_FOLLOWED) this.dropOldest();
    const address = new RunningAddress(key);
    this.addresses.set(key, address);
    this.subscription.want('address', key);
    return address;
  }

  private dropUnused(): void {
    const nowMs = performance.now();
    for (const address of this.addresses.values())
      if (!address.busy && nowMs - address.lastUsedMs >= UNUSED_MS) this.forget(address);
  }

  private dropOldest(): void {
    let oldest: RunningAddress | undefined;
    for (const address of this.addresses.values())
      if (!address.busy && (oldest === undefined || address.lastUsedMs < oldest.lastUsedMs)) oldest = address;
    if (oldest !== undefined) this.forget(oldest);
  }

  private forget(address: RunningAddress): void {
    this.addresses.delete(address.key);
    this.subscription.drop('address', address.key);
    address.close();
  }

  close(): void {
    clearInterval(this.sweeper);
    for (const address of this.addresses.values()) address.close();
    this.addresses.clear();
  }
}

/** One address, as far as it is known. */
class RunningAddress {
  readonly key: string;
  readonly firstWord = new FirstWord();
  service: ServiceKey | undefined = undefined;
  /** The control plane has spoken of it. */
  told = false;
  lastUsedMs = 0;
  private plan: Plan | undefined = undefined;
  private cluster: Cluster | undefined = undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** Connections wait for it or go through to it. */
  get busy(): boolean {
    return this.firstWord.awaited || (this.cluster !== undefined && this.cluster.use.streams > 0);
  }

  tell(service: ServiceKey | undefined): void {
    this.told = true;
    this.service = service;
    this.firstWord.wake();
  }

  /** To the address itself, as it would have gone without the mesh: in plain text, once, without limits. */
  passing(parts: ClusterParts): Plan {
    if (this.plan !== undefined) return this.plan;
    const unlimited = Number.MAX_SAFE_INTEGER;
    const settings = {
      ...DEFAULT_SETTINGS,
      retries: { attempts: 0, on: [] },
      limits: { connections: unlimited, pending: unlimited, requests: unlimited },
    };
    const cluster = new Cluster(PASSTHROUGH, settings, parts);
    cluster.update([{ address: this.key, weight: 1, ready: true }], settings, 'tcp');
    this.cluster = cluster;
    this.plan = {
      route: '',
      why: `${this.key} is no address of the mesh's services: passed through`,
      service: PASSTHROUGH,
      settings,
      retryBudget: new RetryBudget(),
      chain: composeChain([]),
      timeoutMs: 0,
      tryTimeoutMs: 0,
      backend: () => cluster,
    };
    return this.plan;
  }

  close(): void {
    this.cluster?.close();
  }
}
