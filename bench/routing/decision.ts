import type { Route } from '../../protocol/route.ts';
import { compileRoutes, type RequestView } from '../../sidecar/routing/route-table.ts';
import { hostName, routesByHost } from './layout.ts';

/** What one decision of Tulle's route table costs, in ns. */
export interface DecisionReport {
  routes: number;
  p50Ns: number;
  p99Ns: number;
}

const samples = 100_000;

function meshRoutes(count: number): Route[] {
  return routesByHost(count).map((ofHost, host) => ({
    name: `bench/h${host}`,
    kind: 'HTTPRoute',
    parents: [],
    hostnames: [hostName(host)],
    rules: ofHost.map(({ prefix, service }) => ({
      matches: [{ path: { type: 'PathPrefix', value: prefix }, headers: [], query: [] }],
      backends: [{ service: `bench/s${service}`, weight: 1 }],
    })),
  }));
}

/** Requests for all of the routes, in an order that no cache of the processor foresees. */
function views(count: number): RequestView[] {
  const all = routesByHost(count)
    .flat()
    .map(({ host, prefix }) => ({
      method: 'GET',
      path: `${prefix}/bytes/100`,
      query: '',
      host: hostName(host),
      header: () => undefined,
    }));
  const step = 7919; // A prime: it visits all of them once around.
  // A remainder is an index.
  return all.map((_, index) => all[(index * step) % all.length] as RequestView);
}

/**
 * Times the route decision alone, in this process: host, then path prefix, in one table with all routes. Reading
 * the clock is in the time. Throws when a request finds no route.
 */
export function measureDecision(count: number): DecisionReport {
  const table = compileRoutes(meshRoutes(count));
  const asked = views(count);
  const times = new Float64Array(samples);
  let next = 0;
  const decide = () => {
    const view = asked[next] as RequestView; // `next` is kept below the length.
    next = next + 1 === asked.length ? 0 : next + 1;
    if (table.match(view)?.pickBackend() === undefined)
      throw new Error(`no route for ${view.host}${view.path}`);
  };
  for (let warm = 0; warm < samples; warm++) decide();
  for (let sample = 0; sample < samples; sample++) {
    const start = process.hrtime.bigint();
    decide();
    times[sample] = Number(process.hrtime.bigint() - start);
  }
  times.sort();
  const at = (share: number) => times[Math.floor(samples * share)] ?? 0;
  return { routes: count, p50Ns: at(0.5), p99Ns: at(0.99) };
}
