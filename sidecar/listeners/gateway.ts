import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { composeChain } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { routeFilters } from '../filters/route-filters.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import { type CompiledRule, compileRoutes, type RouteTable } from '../routing/route-table.ts';
import type { RunningServices } from '../routing/services.ts';

const UNKNOWN_AFTER_MS = 3_000;

/** Routes calls from outside by the routes attached to one Gateway. What no route names is not served. */
export class GatewayRouter {
  private readonly services: RunningServices;
  private readonly name: string;
  private table: RouteTable | undefined = undefined;
  private resource: GatewayResource | undefined = undefined;

  constructor(services: RunningServices, name: string) {
    this.services = services;
    this.name = name;
  }

  get known(): boolean {
    return this.resource !== undefined;
  }

  update(resource: GatewayResource): void {
    this.resource = resource;
    this.table = compileRoutes(resource.routes);
    for (const route of resource.routes) {
      for (const rule of route.rules) for (const backend of rule.backends) this.services.pin(backend.service);
    }
  }

  plan(exchange: Exchange): Plan | Pending | LocalAnswer {
    if (this.table === undefined) {
      return { status: 503, code: 'not-ready', detail: `nothing is known of the Gateway ${this.name} yet` };
    }
    const rule = this.table.match(exchange);
    if (rule === undefined) {
      return {
        status: 404,
        code: 'no-route',
        detail: `no route of ${this.name} matches host "${exchange.host}" and path "${exchange.path}"`,
      };
    }
    return (rule.slot as Plan | undefined) ?? this.compose(rule);
  }

  /** Retries and times come from the service when the rule has just one, as for a call inside the mesh. */
  private compose(rule: CompiledRule): Plan | Pending {
    const first = rule.source.backends[0]?.service;
    const service = first === undefined ? undefined : this.services.pin(first);
    const settings = service?.resource?.settings;
    if (service !== undefined && settings === undefined && service.ageMs < UNKNOWN_AFTER_MS) return service;
    const plan: Plan = {
      route: rule.route,
      why: rule.why,
      service: first ?? this.name,
      settings: settings ?? DEFAULT_SETTINGS,
      retryBudget: new RetryBudget(settings?.retryBudget.ratio ?? 0, settings?.retryBudget.perSecond ?? 0),
      chain: composeChain(routeFilters(rule.source)),
      timeoutMs: rule.source.timeoutMs ?? settings?.timeoutMs ?? 0,
      tryTimeoutMs: rule.source.tryTimeoutMs ?? settings?.tryTimeoutMs ?? 0,
      backend: () => this.services.backendOf(rule),
    };
    if (settings !== undefined) rule.slot = plan;
    return plan;
  }

  /** A backend's settings changed: plans are composed anew from them. */
  refresh(): void {
    if (this.resource !== undefined) this.table = compileRoutes(this.resource.routes);
  }
}
