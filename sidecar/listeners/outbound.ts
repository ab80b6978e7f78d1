import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import { serviceKeyOfHost } from '../routing/service-name.ts';
import type { RunningService, RunningServices } from '../routing/services.ts';

/** Host names are the callers' to choose: no more than this are remembered. */
const MAX_HOSTS = 4096;

/** Routes a workload's own calls by their Host (DESIGN section 7). */
export class OutboundRouter {
  private readonly services: RunningServices;
  private readonly namespace: string;
  private readonly keys = new Map<string, string | undefined>();
  private lastHost = '';
  private lastService: RunningService | undefined = undefined;

  constructor(services: RunningServices, namespace: string) {
    this.services = services;
    this.namespace = namespace;
  }

  plan(exchange: Exchange): Plan | Pending | LocalAnswer {
    const { host } = exchange;
    if (host === this.lastHost && this.lastService?.present) {
      this.lastService.lastUsedMs = exchange.startMs;
      return this.lastService.planFor(exchange);
    }
    const key = this.keyOf(host);
    if (key === undefined) {
      const detail = `"${host}" names no service of the mesh; a service is called as NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local`;
      return { status: 404, code: 'no-service', detail };
    }
    const service = this.services.use(key, exchange.startMs);
    this.lastHost = host;
    this.lastService = service;
    return service.planFor(exchange);
  }

  private keyOf(host: string): string | undefined {
    if (this.keys.has(host)) return this.keys.get(host);
    const key = serviceKeyOfHost(host, this.namespace);
    if (this.keys.size < MAX_HOSTS) this.keys.set(host, key);
    return key;
  }
}
