import type { Aim } from './schedule.ts';

/** Times are in ms of the machine's monotonic clock, the same for all its processes. */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/**
 * `safe`: idempotent, and its service has retries. `once`: may have run when it failed, so it is not sent again.
 * `opaque`: bytes that the mesh does not read.
 */
type RequestClass = 'safe' | 'once' | 'opaque';

/** How the detail begins of a request whose response ended in its middle, by an error. */
export const CUT = 'cut short: ';

/** One request as its client saw it. */
export interface SentRequest {
  readonly id: string;
  /** What sent it: `http1 GET` ... */
  readonly kind: string;
  readonly of: RequestClass;
  /** The sidecar or gateway that the client called. */
  readonly entry: string;
  /** Services on its way. */
  readonly services: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  /** Whole, and by a status of success; or refused by the quota that its service has. */
  readonly ok: boolean;
  /** 0: no head of a response came. */
  readonly status: number;
  /** `tulle-reason`, or ''. */
  readonly reason: string;
  readonly detail: string;
  /** What of another request was in its response. */
  readonly mixedWith?: string;
  /** What its entry calls it, if that is another id: a gateway takes none from strangers. */
  readonly knownAs?: string;
  /** What `tulle explain` says of it, where it failed. */
  readonly explanation?: string;
}

/** One request as an application saw it. */
export interface Arrival {
  readonly atMs: number;
  readonly id: string;
  readonly client: string;
  readonly method: string;
  readonly service: string;
  readonly instance: string;
}

/** Parts that a fault hurts, from when to when. `*`: all. */
export interface Impairment {
  readonly fault: string;
  readonly parts: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

interface MemoryReading {
  readonly part: string;
  /** Resident, in bytes. */
  readonly before: number;
  readonly after: number;
}

/** A fault as it came, from its begin until what it hit was as before. */
export interface Strike extends Interval {
  readonly fault: string;
  readonly aim: Aim;
  readonly target: string;
  /** What shows that it really hit; '': nothing does. */
  readonly sign: string;
}

/** A quota that a service has, of all callers together: in any window of T no more than `burst` and `tokens` for each `perMs` of T. */
export interface KnownQuota extends Interval {
  readonly service: string;
  readonly tokens: number;
  readonly perMs: number;
  readonly burst: number;
}

/** All that is known of a storm when it is over. */
export interface Evidence {
  readonly requests: readonly SentRequest[];
  readonly arrivals: readonly Arrival[];
  readonly impairments: readonly Impairment[];
  /** Service to its endpoints. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
  /** When this machine had no time for the test itself. */
  readonly stalls: readonly Interval[];
  /** Ends of processes that nobody ended. */
  readonly deaths: readonly string[];
  readonly memory: readonly MemoryReading[];
  /** What did not come back after a fault, in words. */
  readonly unrecovered: readonly string[];
  readonly quotas: readonly KnownQuota[];
  readonly strikes: readonly Strike[];
}

export interface Violation {
  readonly invariant: string;
  readonly detail: string;
  /** Ids. */
  readonly requests: readonly string[];
}

/** Checks one property of a whole storm; no violation: it held. */
export interface Invariant {
  readonly name: string;
  check(evidence: Evidence): Violation[];
}
