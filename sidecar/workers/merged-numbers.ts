import { EdgeRegistry } from '../telemetry/edge-registry.ts';
import type { EdgeNumbers } from '../telemetry/edge-stats.ts';
import type { CheckedEndpoint, EndpointCircuit, Gauges, QuotaFigures } from '../telemetry/metrics.ts';

/** Each worker bounds its own edges; a sum that left one out now and then would fall. */
const UNBOUNDED = Number.POSITIVE_INFINITY;

/** Counters of several workers as those of one data plane. */
export class MergedEdges {
  private readonly edges = new EdgeRegistry(UNBOUNDED);

  add(numbers: readonly EdgeNumbers[]): void {
    for (const one of numbers) {
      const { reporter, source, destination, mtls, protocol } = one.edge;
      this.edges.get(reporter, source, destination, mtls, protocol).add(one);
    }
  }

  all(): ReturnType<EdgeRegistry['all']> {
    return this.edges.all();
  }
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** Counts of the same name added up. */
function added(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all)
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Each worker probes for itself: unhealthy to one is told as unhealthy. */
function mergedEndpoints(all: readonly CheckedEndpoint[]): CheckedEndpoint[] {
  const found = Map.groupBy(all, ({ service, endpoint }) => `${service} ${endpoint}`);
  return [...found.values()].map((same) => ({
    ...(same[0] as CheckedEndpoint), // grouped: one at least
    healthy: same.every(({ healthy }) => healthy),
  }));
}

/** Each worker draws for itself. */
function mergedQuotas(all: readonly QuotaFigures[]): QuotaFigures[] {
  return [...Map.groupBy(all, ({ quota }) => quota)].map(([quota, same]) => ({
    ...(added(same.map(({ quota: _, ...figures }) => figures)) as unknown as QuotaFigures), // as many names as it has
    quota,
  }));
}

/** Each worker judges for itself: ejected by one is told as ejected. */
function mergedCircuits(all: readonly EndpointCircuit[]): EndpointCircuit[] {
  const found = Map.groupBy(all, ({ service, endpoint }) => `${service} ${endpoint}`);
  return [...found.values()].map((same) => ({
    ...(same[0] as EndpointCircuit), // grouped: one at least
    ejected: same.some(({ ejected }) => ejected),
  }));
}

/** Gauges of one data plane: connections add up, of all others the worst is told. `gauges` has one at least. */
export function mergedGauges(gauges: readonly Gauges[], version: string): Gauges {
  return {
    connections: gauges.reduce((sum, { connections }) => sum + connections, 0),
    protections: added(gauges.map(({ protections }) => protections)),
    detections: added(gauges.map(({ detections }) => detections)),
    detectTimeouts: added(gauges.map(({ detectTimeouts }) => detectTimeouts)),
    mirrors: added(gauges.map(({ mirrors }) => mirrors)),
    quotas: mergedQuotas(gauges.flatMap(({ quotas }) => quotas)),
    ready: gauges.length > 0 && gauges.every(({ ready }) => ready),
    controlPlaneConnected:
      gauges.length > 0 && gauges.every(({ controlPlaneConnected }) => controlPlaneConnected),
    certificateSecondsLeft: least(gauges.map(({ certificateSecondsLeft }) => certificateSecondsLeft)),
    rootSecondsLeft: least(gauges.map(({ rootSecondsLeft }) => rootSecondsLeft)),
    checkedEndpoints: mergedEndpoints(gauges.flatMap(({ checkedEndpoints }) => checkedEndpoints)),
    circuits: mergedCircuits(gauges.flatMap(({ circuits }) => circuits)),
    ejections: added(gauges.map(({ ejections }) => ejections)),
    panics: [...new Set(gauges.flatMap(({ panics }) => panics))],
    version,
    trustDomain: gauges.find(({ trustDomain }) => trustDomain !== 'unknown')?.trustDomain ?? 'unknown',
  };
}
