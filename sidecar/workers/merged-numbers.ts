import { EdgeRegistry } from '../telemetry/edge-registry.ts';
import type { EdgeNumbers } from '../telemetry/edge-stats.ts';
import type { Gauges } from '../telemetry/metrics.ts';

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

/** Gauges of one data plane: connections add up, of all others the worst is told. `gauges` has one at least. */
export function mergedGauges(gauges: readonly Gauges[], version: string): Gauges {
  return {
    connections: gauges.reduce((sum, { connections }) => sum + connections, 0),
    ready: gauges.length > 0 && gauges.every(({ ready }) => ready),
    controlPlaneConnected:
      gauges.length > 0 && gauges.every(({ controlPlaneConnected }) => controlPlaneConnected),
    certificateSecondsLeft: least(gauges.map(({ certificateSecondsLeft }) => certificateSecondsLeft)),
    rootSecondsLeft: least(gauges.map(({ rootSecondsLeft }) => rootSecondsLeft)),
    version,
    trustDomain: gauges.find(({ trustDomain }) => trustDomain !== 'unknown')?.trustDomain ?? 'unknown',
  };
}
