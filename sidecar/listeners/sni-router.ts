import type { LocalAnswer } from '../exchange.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import type { RequestView } from '../routing/route-table.ts';
import { serviceKeyOfHost } from '../routing/service-name.ts';
import type { RunningServices } from '../routing/services.ts';

/** Where TLS connections go by the server name they ask for. */
export type SniPlan = (serverName: string | undefined) => Plan | Pending | LocalAnswer;

/** By names of services, as for requests by Host. */
export function sniOfServices(services: RunningServices, namespace: string): SniPlan {
  return (serverName) => {
    const key = serverName === undefined ? undefined : serviceKeyOfHost(serverName, namespace);
    if (key !== undefined) return services.use(key, performance.now()).opaquePlan();
    return sniUnknown(
      serverName,
      'names no service of the mesh; a service is called as NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local',
    );
  };
}

export function sniUnknown(serverName: string | undefined, why: string): LocalAnswer {
  const detail = serverName === undefined ? 'the TLS hello names no server (SNI)' : `"${serverName}" ${why}`;
  return { status: 421, code: 'sni-unknown', detail };
}

/** A TLS connection has no more to route by than a name. */
export function serverNameView(host: string): RequestView {
  return { host, method: '', path: '/', query: '', header: () => undefined };
}
