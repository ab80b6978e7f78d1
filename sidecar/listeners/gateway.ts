import type { GatewayResource } from '../../protocol/resources.ts';
import { TLS_ROUTE } from '../../protocol/route.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Quotas } from '../quotas/quotas.ts';
import { FirstWord } from '../routing/first-word.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import { compileRoutes, type RouteTable } from '../routing/route-table.ts';
import type { RunningServices } from '../routing/services.ts';
import { RulePlans } from './rule-plans.ts';
import { serverNameView, sniUnknown } from './sni-router.ts';

/**
 * Routes calls from outside by the routes attached to one Gateway, at one address for all its listeners. What no
 * route names is not served.
 */
export class GatewayRouter {
  private readonly plans: RulePlans;
  private readonly name: string;
  private readonly firstWord = new FirstWord();
  resource: GatewayResource | undefined = undefined;
  private table: RouteTable | undefined = undefined;
  /** Server names of TLS that is passed through. */
  private tlsTable: RouteTable | undefined = undefined;

  constructor(services: RunningServices, name: string, quotas: Quotas) {
    this.plans = new RulePlans(services, name, quotas);
    this.name = name;
  }

  get known(): boolean {
    return this.resource !== undefined;
  }

  update(resource: GatewayResource): void {
    const { routes } = resource;
    this.resource = resource;
    this.compile(routes);
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
    this.plans.replace(routes);
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
    return this.plans.planOf(rule);
  }

  /** The plan for a TLS connection that asks for `serverName` (lower case), to be passed through. */
  tlsPlan(serverName: string | undefined): Plan | Pending | LocalAnswer {
    if (this.tlsTable === undefined) return this.unknown();
    const rule = serverName === undefined ? undefined : this.tlsTable.match(serverNameView(serverName));
    if (rule === undefined) return sniUnknown(serverName, `is named by no TLSRoute of ${this.name}`);
    return this.plans.planOf(rule);
  }

  private unknown(): Pending | LocalAnswer {
    if (this.firstWord.mayCome) return this.firstWord;
    return { status: 503, code: 'not-ready', detail: `nothing is known of the Gateway ${this.name} yet` };
  }

  /** A backend's settings changed. */
  refresh(): void {
    this.plans.refresh();
  }
}
