/** One route of the routing scenarios: a host and a path prefix lead to a service of its own. */
export interface BenchRoute {
  /** Index of the host. */
  host: number;
  /** A path segment with its slash: `/p3`. */
  prefix: string;
  /** Index of the service. */
  service: number;
}

const prefixesOfHost = 10;

/** The host name of a host's index. */
export function hostName(host: number): string {
  return `h${host}.bench`;
}

/** So many routes: ten path prefixes on each host, each to a service of its own. */
export function layOutRoutes(count: number): BenchRoute[] {
  return Array.from({ length: count }, (_, service) => ({
    host: Math.floor(service / prefixesOfHost),
    prefix: `/p${service % prefixesOfHost}`,
    service,
  }));
}

/** The routes by host, in the order of the hosts. */
export function routesByHost(count: number): BenchRoute[][] {
  return [...Map.groupBy(layOutRoutes(count), ({ host }) => host).values()];
}
