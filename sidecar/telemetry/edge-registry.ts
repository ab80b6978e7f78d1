import { type Edge, EdgeStats } from './edge-stats.ts';

/** Names come from callers in part: beyond so many edges, the rest is counted together. */
const MAX_EDGES = 5000;
const OTHER = 'other';

/** The counters of all edges, found without making a key. */
export class EdgeRegistry {
  private readonly byDestination = new Map<string, Map<string, EdgeStats[]>>();
  private readonly edges: EdgeStats[] = [];
  private readonly max: number;

  constructor(max = MAX_EDGES) {
    this.max = max;
  }

  /** The counters of an edge, made at its first use. */
  get(
    reporter: Edge['reporter'],
    source: string,
    destination: string,
    mtls: boolean,
    protocol = 'http',
  ): EdgeStats {
    const known = this.byDestination.get(destination)?.get(source);
    if (known !== undefined) {
      for (const stats of known) {
        const { edge } = stats;
        if (edge.mtls === mtls && edge.reporter === reporter && edge.protocol === protocol) return stats;
      }
    }
    const full = this.edges.length >= this.max && (source !== OTHER || destination !== OTHER);
    if (full) return this.get(reporter, OTHER, OTHER, mtls, protocol);
    return this.add({ reporter, source, destination, mtls, protocol });
  }

  all(): readonly EdgeStats[] {
    return this.edges;
  }

  private add(edge: Edge): EdgeStats {
    const stats = new EdgeStats(edge);
    let bySource = this.byDestination.get(edge.destination);
    if (bySource === undefined) {
      bySource = new Map();
      this.byDestination.set(edge.destination, bySource);
    }
    const known = bySource.get(edge.source);
    if (known === undefined) bySource.set(edge.source, [stats]);
    else known.push(stats);
    this.edges.push(stats);
    return stats;
  }
}
