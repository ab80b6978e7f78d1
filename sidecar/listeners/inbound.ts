import type { ServiceResource } from '../../protocol/resources.ts';
import { type SpokenProtocol, spokenProtocol } from '../../protocol/spoken-protocol.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { Cluster, type ClusterParts } from '../balancing/cluster.ts';
import type { LocalAnswer } from '../exchange.ts';
import { refuseUnenforced } from '../filters/access-policy.ts';
import { connectionAdmission } from '../filters/admit-connection.ts';
import { authorize } from '../filters/authorize.ts';
import { composeChain, type Filter } from '../filters/filter.ts';
import { requireMtls } from '../filters/require-mtls.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import type { Caller, Verdict } from '../filters/verdict.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import type { RunningService } from '../routing/services.ts';

/** What protects the workload, in the order in which it acts. */
function protection(resource: ServiceResource): Filter[] {
  const { settings, service, access, key } = resource;
  const filters: Filter[] = [];
  if (settings.mtls === 'strict') filters.push(requireMtls(key));
  if (settings.allow !== undefined) filters.push(authorize(settings.allow, service.namespace, key));
  if (access.length > 0) filters.push(refuseUnenforced(access, key));
  return filters;
}

/**
 * Calls to the application are not retried here, but where it had closed a kept-alive connection, or refused a
 * stream. It is not probed here: callers probe it.
 */
function towardsApplication(settings: TrafficSettings): TrafficSettings {
  const { healthCheck: _, ...rest } = settings;
  return {
    ...rest,
    retries: { attempts: 1, on: ['refused-stream'] },
    balance: { strategy: 'round-robin' },
  };
}

/** Sends what comes in to the application beside this sidecar, under its service's policy. */
export class InboundRouter {
  private readonly service: RunningService;
  private readonly parts: ClusterParts;
  private readonly address: string;
  private readonly retryBudget = new RetryBudget();
  private current: Plan | undefined = undefined;
  private compiledFor: ServiceResource | undefined = undefined;

  constructor(service: RunningService, address: string, parts: ClusterParts) {
    this.service = service;
    this.address = address;
    this.parts = parts;
  }

  /** What is not known to be permissive is strict. */
  get strict(): boolean {
    return this.service.resource?.settings.mtls !== 'permissive';
  }

  get key(): string {
    return this.service.key;
  }

  /** How connections to the application are read; looked at while it is not known. */
  get spoken(): SpokenProtocol {
    const { resource } = this.service;
    return resource === undefined ? 'detect' : spokenProtocol(resource.service, resource.settings);
  }

  /** What the policies say of the caller of an opaque connection that has a plan. */
  admit(caller: Caller): readonly Verdict[] {
    return this.admission(caller);
  }

  private admission: (caller: Caller) => readonly Verdict[] = () => [];

  /** Policy unknown means refused: nobody is let in on a guess. */
  plan(): Plan | Pending | LocalAnswer {
    const { resource } = this.service;
    if (resource !== undefined) {
      if (resource !== this.compiledFor) this.compile(resource);
      if (this.current !== undefined) return this.current;
    }
    return this.service.waitOr({
      status: 503,
      code: 'no-service',
      detail: `this sidecar stands beside ${this.service.key}, and no such service is in the registry`,
    });
  }

  private cluster: Cluster | undefined = undefined;

  private compile(resource: ServiceResource): void {
    const settings = towardsApplication(resource.settings);
    this.retryBudget.limit(settings.retryBudget.ratio, settings.retryBudget.perSecond);
    this.cluster ??= new Cluster(resource.key, settings, this.parts);
    this.cluster.update(
      [{ address: this.address, weight: 1, ready: true }],
      settings,
      resource.service.protocol,
    );
    const { cluster } = this;
    this.compiledFor = resource;
    this.admission = connectionAdmission(resource);
    this.current = {
      route: '',
      why: `inbound of ${resource.key}`,
      service: resource.key,
      settings,
      retryBudget: this.retryBudget,
      chain: composeChain(protection(resource)),
      timeoutMs: 0,
      tryTimeoutMs: 0,
      backend: () => cluster,
    };
  }

  close(): void {
    this.cluster?.close();
  }
}
