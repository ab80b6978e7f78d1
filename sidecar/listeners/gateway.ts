import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import { TLS_ROUTE } from '../../protocol/route.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { FirstWord } from '../routing/first-word.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import {
  type CompiledRule,
  compileRoutes,
  type RequestView,
  type RouteTable,
} from '../routing/route-table.ts';
import type { RunningServices } from '../routing/services.ts';
import { sniUnknown } from './sni-router.ts';

/** Routes calls from outside by the routes attached to one Gateway. What no route names is not served. */
export class GatewayRouter {
  private readonly services: RunningServices;
  private readonly name: string;
  private readonly firstWord = new FirstWord();
  resource: GatewayResource | undefined = undefined;
  private table: RouteTable | undefined = undefined;
  /** Server names of TLS that is passed through. */
  private tlsTable: RouteTable | undefined = undefined;
  /** Rules that hold a plan. */
  private readonly composed: CompiledRule[] = [];

  constructor(services: RunningServices, name: string) {
    this.services = services;
    this.name = name;
  }

  get known(): boolean {
    return this.resource !== undefined;
  }

  update(resource: GatewayResource): void {
    const { routes } = resource;
    this.resource = resource;
    this.compile(routes);
    for (const route of routes) {
      for (const rule of route.rules) for (const backend of rule.backends) this.services.pin(backend.service);
    }
    this.firstWord.wake();
  }

  /** There is no such Gateway, or no longer: nothing is served, and nobody waits for it. */
  absent(): void {
    this.resource = undefined;
    this.compile([]);
    this.firstWord.wake();
  }

  private compile(routes: GatewayResource['routes']): void {
    this.table = compileRoutes(routes.filter(({ kind }) => kind !== TLS_ROUTE));
    this.tlsTable = compileRoutes(routes.filter(({ kind }) => kind === TLS_ROUTE));
    this.composed.length = 0;
  }

  plan(exchange: Exchange): Plan | Pending | LocalAnswer {
    if (this.table === undefined) return this.unknown();
    const rule = this.table.match(exchange);
    if (rule === undefined) {
      return {
        status: 404,
        code: 'no-route',
        detail: this.known
          ? `no route of ${this.name} matches host "${exchange.host}" and path "${exchange.path}"`
          : `there is no Gateway ${this.name}`,
      };
    }
    return (rule.slot as Plan | undefined) ?? this.compose(rule);
  }

  /** The plan for a TLS connection that asks for `serverName` (lower case), to be passed through. */
  tlsPlan(serverName: string | undefined): Plan | Pending | LocalAnswer {
    if (this.tlsTable === undefined) return this.unknown();
    const rule = serverName === undefined ? undefined : this.tlsTable.match(serverNameView(serverName));
    if (rule === undefined) return sniUnknown(serverName, `is named by no TLSRoute of ${this.name}`);
    return (rule.slot as Plan | undefined) ?? this.compose(rule);
  }

  private unknown(): Pending | LocalAnswer {
    if (this.firstWord.mayCome) return this.firstWord;
    return { status: 503, code: 'not-ready', detail: `nothing is known of the Gateway ${this.name} yet` };
  }

  /** Retries and times come from the rule's first service, as for a call inside the mesh. */
  private compose(rule: CompiledRule): Plan | Pending {
    const first = rule.source.backends[0]?.service;
    const service = first === undefined ? undefined : this.services.pin(first);
    if (service?.isUnknown) return service.firstWord;
    const settings = service?.resource?.settings ?? DEFAULT_SETTINGS;
    const budget = service?.retryBudget ?? new RetryBudget();
    const plan = this.services.composePlan(rule, first ?? this.name, settings, budget);
    this.composed.push(rule);
    return plan;
  }

  /** A backend's settings changed: plans are composed anew from them. */
  refresh(): void {
    for (const rule of this.composed.splice(0)) rule.slot = undefined;
  }
}

/** A TLS connection has no more to route by than a name. */
function serverNameView(host: string): RequestView {
  return { host, method: '', path: '/', query: '', header: () => undefined };
}
