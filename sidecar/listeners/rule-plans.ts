import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { Route } from '../../protocol/route.ts';
import type { Filter } from '../filters/filter.ts';
import { rateLimit } from '../filters/rate-limit.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import type { Quotas } from '../quotas/quotas.ts';
import { limitedPlan } from '../routing/limited-plan.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import type { CompiledRule } from '../routing/route-table.ts';
import type { RunningServices } from '../routing/services.ts';

/** Plans of the rules of one Gateway, composed at their first use. */
export class RulePlans {
  private readonly services: RunningServices;
  private readonly gateway: string;
  private readonly quotas: Quotas;
  /** Rules that hold a plan. */
  private readonly composed: CompiledRule[] = [];
  /** Services that the routes name. */
  private named: ReadonlySet<string> = new Set();

  constructor(services: RunningServices, gateway: string, quotas: Quotas) {
    this.services = services;
    this.gateway = gateway;
    this.quotas = quotas;
  }

  /** Takes the place of all routes there were. Their services are followed as long as one of them is named. */
  replace(routes: readonly Route[]): void {
    this.composed.length = 0;
    const named = new Set(routes.flatMap(servicesOf));
    for (const service of named) if (!this.named.has(service)) this.services.pin(service);
    for (const service of this.named) if (!named.has(service)) this.services.unpin(service);
    this.named = named;
  }

  planOf(rule: CompiledRule): Plan | Pending {
    return (rule.slot as Plan | undefined) ?? this.compose(rule);
  }

  /** Retries and times come from the rule's first service, as for a call inside the mesh. */
  private compose(rule: CompiledRule): Plan | Pending {
    const first = rule.source.backends.find(({ invalid }) => invalid === undefined)?.service;
    const service = first === undefined ? undefined : this.services.use(first, performance.now());
    if (service?.isUnknown) return service.firstWord;
    const settings = service?.resource?.settings ?? DEFAULT_SETTINGS;
    const budget = service?.retryBudget ?? new RetryBudget();
    const composed = this.services.composePlan(rule, first ?? this.gateway, settings, budget);
    const plan = limitedPlan(composed, this.limitersOf(rule));
    rule.slot = plan;
    this.composed.push(rule);
    return plan;
  }

  /** Limits of services that have no sidecars: those that have are limited there, and once is enough. */
  private limitersOf({ source }: CompiledRule): ReadonlyMap<string, Filter> {
    const limiters = new Map<string, Filter>();
    for (const { service, invalid } of source.backends) {
      const resource =
        invalid === undefined ? this.services.use(service, performance.now()).resource : undefined;
      if (resource === undefined || resource.settings.rateLimits.length === 0) continue;
      if (resource.service.endpoints.some(({ identity }) => identity !== undefined)) continue;
      limiters.set(service, rateLimit(service, resource.settings.rateLimits, this.quotas.shared));
    }
    return limiters;
  }

  /** A backend's settings changed: plans are composed anew from them. */
  refresh(): void {
    for (const rule of this.composed.splice(0)) rule.slot = undefined;
  }
}

/** Backends and mirrors that can be used. */
function servicesOf({ rules }: Route): string[] {
  return rules
    .flatMap(({ backends, mirrors = [] }) => [...backends, ...mirrors])
    .filter(({ invalid }) => invalid === undefined)
    .map(({ service }) => service);
}
