import { type SpokenProtocol, spokenProtocol } from '../../protocol/spoken-protocol.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { Cluster, type ClusterParts } from '../balancing/cluster.ts';
import type { LocalAnswer } from '../exchange.ts';
import { refuseUnenforced } from '../filters/access-policy.ts';
import { connectionAdmission } from '../filters/admit-connection.ts';
import { authorize } from '../filters/authorize.ts';
import { composeChain, type Filter } from '../filters/filter.ts';
import { type Probe, unlessProbe } from '../filters/probe.ts';
import type { Protector } from '../filters/protector.ts';
import { RATE_LIMIT, rateLimit } from '../filters/rate-limit.ts';
import { requireMtls } from '../filters/require-mtls.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import type { Caller, Verdict } from '../filters/verdict.ts';
import type { Quotas } from '../quotas/quotas.ts';
import { type InboundPolicy, isStrict, type PolicySource } from '../routing/inbound-policy.ts';
import type { Pending, Plan } from '../routing/plan.ts';

/** What protects the workload, in the order in which it acts. */
function protection({ key, namespace, settings, access, alone }: Protector, quotas: Quotas): Filter[] {
  const filters: Filter[] = [];
  if (settings.mtls === 'strict') filters.push(requireMtls(key));
  if (settings.allow !== undefined) filters.push(authorize(settings.allow, namespace, key));
  if (access.length > 0) filters.push(refuseUnenforced(access, key));
  // Last: who is not let in uses up nothing.
  if (settings.rateLimits.length > 0)
    filters.push(rateLimit(key, settings.rateLimits, alone ? quotas.own : quotas.shared));
  return filters;
}

/**
 * Calls to the application are not retried here, but where it had closed a kept-alive connection, or refused a
 * stream. It is not probed or ejected here: callers do that.
 */
function towardsApplication(settings: TrafficSettings): TrafficSettings {
  const { healthCheck: _, circuitBreaker: _breaker, hedge: _hedge, idleTimeoutMs: _idle, ...rest } = settings;
  return {
    ...rest,
    retries: { attempts: 1, on: ['refused-stream'] },
    balance: { strategy: 'round-robin' },
  };
}

/** Sends what comes in to the application beside this sidecar, under the policy of its port. */
export class InboundRouter {
  /** The application's. */
  readonly address: string;
  private readonly source: PolicySource;
  private readonly parts: ClusterParts;
  private readonly quotas: Quotas;
  private readonly probes: readonly Probe[];
  private readonly retryBudget = new RetryBudget();
  private current: Plan | undefined = undefined;
  private compiledFor: InboundPolicy | undefined = undefined;
  private cluster: Cluster | undefined = undefined;

  /** `probes`: requests that are let in whoever makes them. */
  constructor(
    source: PolicySource,
    address: string,
    parts: ClusterParts,
    quotas: Quotas,
    probes: readonly Probe[] = [],
  ) {
    this.source = source;
    this.address = address;
    this.parts = parts;
    this.quotas = quotas;
    this.probes = probes;
  }

  /** What is not known to be permissive is strict. */
  get strict(): boolean {
    const policy = this.source.policy();
    return policy === undefined || isStrict(policy);
  }

  get key(): string {
    return this.source.policy()?.key ?? this.source.key;
  }

  /** Whether a stream that is meant for `service` has come to the right place. */
  isFor(service: string, port: number): boolean {
    const { key, ownName } = this.source;
    const names = this.source.policy()?.protectors.map((protector) => protector.key) ?? [key];
    // In a cluster each port of a service has a key of its own.
    return [...names, ownName].some((name) => name === service || name === `${service}:${port}`);
  }

  /** How connections to the application are read; looked at while it is not known. */
  get spoken(): SpokenProtocol {
    const policy = this.source.policy();
    return policy === undefined ? 'detect' : spokenProtocol(policy.service, policy.settings);
  }

  /** Nothing is under way to the application. */
  get idle(): boolean {
    const use = this.cluster?.use;
    return use === undefined || use.requests + use.streams === 0;
  }

  /** What the policies say of the caller of an opaque connection that has a plan. */
  admit(caller: Caller): readonly Verdict[] {
    return this.admission(caller);
  }

  private admission: (caller: Caller) => readonly Verdict[] = () => [];

  /** Policy unknown means refused: nobody is let in on a guess. */
  plan(): Plan | Pending | LocalAnswer {
    const policy = this.source.policy();
    if (policy !== undefined) {
      if (policy !== this.compiledFor) this.compile(policy);
      if (this.current !== undefined) return this.current;
    }
    return this.source.without();
  }

  private compile(policy: InboundPolicy): void {
    const settings = towardsApplication(policy.settings);
    this.retryBudget.limit(settings.retryBudget.ratio, settings.retryBudget.perSecond);
    this.cluster ??= new Cluster(policy.key, settings, this.parts);
    this.cluster.update(
      [{ address: this.address, weight: 1, ready: true }],
      settings,
      policy.service.protocol,
    );
    const { cluster } = this;
    const filters = policy.protectors.flatMap((protector) => protection(protector, this.quotas));
    this.compiledFor = policy;
    this.admission = connectionAdmission(policy.protectors);
    this.current = {
      route: '',
      why: `inbound of ${policy.key}`,
      service: policy.key,
      settings,
      retryBudget: this.retryBudget,
      chain: composeChain(unlessProbe(this.probes, filters)),
      connectionChain: composeChain(filters.filter(({ name }) => name === RATE_LIMIT)),
      timeoutMs: 0,
      tryTimeoutMs: 0,
      backend: () => cluster,
    };
  }

  close(): void {
    this.cluster?.close();
  }
}
