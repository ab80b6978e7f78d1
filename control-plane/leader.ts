import { CoordinationV1Api, type V1Lease, type V1LeaseSpec, V1MicroTime } from '@kubernetes/client-node';
import { type ApiServer, reasonOf, statusOf } from './kubernetes/api-server.ts';
import type { Log } from './log.ts';

const LEASE = 'control-plane';
const LEASE_MS = 15_000;

export interface LeaderOptions {
  readonly api: ApiServer;
  readonly namespace: string;
  /** Who this replica is: another one each time that it starts. */
  readonly identity: string;
  readonly log: Log;
  /** For how long a leader that is gone stays the leader, in ms; it asks again five times in that. */
  readonly leaseMs?: number;
}

/** What only one replica may do: started when this one leads; what it returns stops it. */
export type LeadersWork = () => () => void;

/** What work of the leader is done with. */
export interface LeadersMeans {
  readonly api: ApiServer;
  /** Asked before each write: a replica that lost the lease writes no more. */
  readonly mayWrite: () => boolean;
}

/** The one of all replicas that does what only one may do. */
export interface Leader {
  /** Whether this replica leads now, by a clock that no pause of the process stops. */
  leads(): boolean;
  /** Who leads, as far as is known. */
  holder(): string | undefined;
  /** Gives the lease back, so that another need not wait for its end. */
  close(): Promise<void>;
}

/**
 * Elects a leader by a Lease (coordination.k8s.io/v1), as client-go does: clocks of replicas are never
 * compared. A candidate waits until the record has not changed for its whole duration by the candidate's own
 * clock; the leader stops its work at two thirds of it without a renewal, so before another may start.
 */
export function electLeader(options: LeaderOptions, work: readonly LeadersWork[]): Leader {
  return new Election(options, work);
}

interface Observed {
  readonly lease: V1Lease;
  /** When this record was seen first; performance.now(). */
  readonly since: number;
}

class Election implements Leader {
  private readonly options: LeaderOptions;
  private readonly leaseMs: number;
  private readonly leases: CoordinationV1Api;
  private readonly work: readonly LeadersWork[];
  private observed: Observed | undefined = undefined;
  /** Until when this replica leads; performance.now(). */
  private untilMs = 0;
  private stops: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined = undefined;
  /** Ends the leadership in time, also while a renewal is still under way. */
  private end: NodeJS.Timeout | undefined = undefined;
  private closed = false;
  private attempt: Promise<void>;

  constructor(options: LeaderOptions, work: readonly LeadersWork[]) {
    this.options = options;
    this.leaseMs = options.leaseMs ?? LEASE_MS;
    this.leases = options.api.client(CoordinationV1Api);
    this.work = work;
    this.attempt = this.ask();
  }

  leads(): boolean {
    return performance.now() < this.untilMs;
  }

  holder(): string | undefined {
    return this.observed?.lease.spec?.holderIdentity || undefined;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.attempt; // its answer may still make this the leader
    const led = this.leads();
    this.stopWork('the control plane stops');
    if (led) await this.release();
  }

  private async ask(): Promise<void> {
    const askedMs = performance.now();
    try {
      if (await this.acquireOrRenew()) this.lead(askedMs);
      else this.stopWork('another replica leads');
    } catch (error) {
      // Leading or not: a lease that cannot be renewed ends by its time.
      this.options.log.debug({ error: reasonOf(error) }, 'the lease could not be asked for');
    }
    if (this.closed) return;
    const waitMs = (this.leaseMs / 7.5) * (1 + Math.random() / 5);
    this.timer = setTimeout(() => {
      this.attempt = this.ask();
    }, waitMs);
  }

  /** Whether this replica holds the lease now. Throws what the API server says. */
  private async acquireOrRenew(): Promise<boolean> {
    const found = await this.read();
    if (found === undefined) return this.write(undefined);
    this.observe(found);
    const { holderIdentity = '' } = found.spec ?? {};
    const free = holderIdentity === '' || holderIdentity === this.options.identity;
    return free || this.isOver() ? this.write(found) : false;
  }

  private async read(): Promise<V1Lease | undefined> {
    try {
      return await this.leases.readNamespacedLease({ name: LEASE, namespace: this.options.namespace });
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  private observe(lease: V1Lease): void {
    if (this.observed?.lease.metadata?.resourceVersion !== lease.metadata?.resourceVersion)
      this.observed = { lease, since: performance.now() };
  }

  /** Whether the record has been the same for as long as it promises at most. */
  private isOver(): boolean {
    if (this.observed === undefined) return false;
    const durationMs = (this.observed.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return performance.now() - this.observed.since > durationMs;
  }

  /** Writes this replica into the record, unless somebody else has changed it meanwhile. */
  private async write(before: V1Lease | undefined): Promise<boolean> {
    const { namespace, identity } = this.options;
    const now = new V1MicroTime();
    const { holderIdentity, acquireTime = now, leaseTransitions = 0 } = before?.spec ?? {};
    const renewed = holderIdentity === identity;
    const spec: V1LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.leaseMs / 1000),
      acquireTime: renewed ? acquireTime : now,
      renewTime: now,
      leaseTransitions: renewed || before === undefined ? leaseTransitions : leaseTransitions + 1,
    };
    const metadata = before?.metadata ?? {
      name: LEASE,
      labels: { 'app.kubernetes.io/managed-by': 'tulle' },
    };
    const body: V1Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    try {
      this.observe(
        before === undefined
          ? await this.leases.createNamespacedLease({ namespace, body })
          : await this.leases.replaceNamespacedLease({ name: LEASE, namespace, body }),
      );
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false; // another one was faster
      throw error;
    }
  }

  /** From when it asked: how long the answer took is unknown to others. */
  private lead(askedMs: number): void {
    const leadMs = (this.leaseMs * 2) / 3;
    this.untilMs = askedMs + leadMs;
    clearTimeout(this.end);
    this.end = setTimeout(
      () => this.stopWork('the lease could not be renewed in time'),
      Math.max(0, this.untilMs - performance.now()),
    );
    if (this.stops.length > 0 || this.closed || !this.leads()) return;
    this.options.log.info({ replica: this.options.identity }, 'this replica leads');
    this.stops = this.work.map((start) => start());
  }

  private stopWork(reason: string): void {
    clearTimeout(this.end);
    this.untilMs = 0;
    if (this.stops.length === 0) return;
    this.options.log.warn({ replica: this.options.identity, reason }, 'this replica leads no more');
    for (const stop of this.stops.splice(0)) stop();
  }

  private async release(): Promise<void> {
    const { namespace, identity } = this.options;
    const lease = this.observed?.lease;
    if (lease?.spec?.holderIdentity !== identity) return;
    const now = new V1MicroTime();
    const spec: V1LeaseSpec = {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: lease.spec.leaseTransitions ?? 0,
    };
    try {
      await this.leases.replaceNamespacedLease({ name: LEASE, namespace, body: { ...lease, spec } });
    } catch (error) {
      this.options.log.debug({ error: reasonOf(error) }, 'the lease could not be given back');
    }
  }
}
