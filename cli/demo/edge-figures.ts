/** What one arrow of the graph carried, summed over the sidecars of its source. */
export interface EdgeFigures {
  readonly source: string;
  readonly destination: string;
  requests: number;
  failures: number;
  retries: number;
  mtls: number;
  /** Upper bound in ms to the number of requests at most so slow. */
  readonly buckets: Map<number, number>;
}

const LINE = /^([a-zA-Z_:][\w:]*)\{([^}]*)\} (\S+)$/;

/** Reads Prometheus' text format of some sidecars into figures for each edge, as its source saw it. */
export function readEdges(expositions: readonly string[]): Map<string, EdgeFigures> {
  const edges = new Map<string, EdgeFigures>();
  for (const text of expositions) {
    for (const line of text.split('\n')) {
      const [, name, labelText, value] = LINE.exec(line) ?? [];
      if (name === undefined || labelText === undefined) continue;
      const labels = readLabels(labelText);
      if (labels.get('reporter') === 'source') addSample(edges, name, labels, Number(value));
    }
  }
  return edges;
}

function readLabels(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
}

function addSample(
  edges: Map<string, EdgeFigures>,
  name: string,
  labels: ReadonlyMap<string, string>,
  value: number,
): void {
  const source = labels.get('source_workload') ?? '';
  const destination = labels.get('destination_service_name') ?? '';
  const key = `${source} ${destination}`;
  const edge = edges.get(key) ?? {
    source,
    destination,
    requests: 0,
    failures: 0,
    retries: 0,
    mtls: 0,
    buckets: new Map<number, number>(),
  };
  edges.set(key, edge);
  if (name === 'istio_requests_total') {
    edge.requests += value;
    const status = Number(labels.get('response_code'));
    if (status >= 500 || status === 0) edge.failures += value;
    if (labels.get('connection_security_policy') === 'mutual_tls') edge.mtls += value;
  } else if (name === 'tulle_retries_total') {
    edge.retries += value;
  } else if (name === 'istio_request_duration_milliseconds_bucket') {
    const bound = labels.get('le') === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.get('le'));
    edge.buckets.set(bound, (edge.buckets.get(bound) ?? 0) + value);
  }
}

/** The latency in ms that a share of the requests did not exceed, interpolated within its bucket; undefined without requests. */
export function quantile(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const bounds = [...buckets.keys()].sort((a, b) => a - b);
  const total = buckets.get(bounds.at(-1) ?? 0) ?? 0;
  if (total === 0) return undefined;
  const wanted = total * share;
  let [lowerBound, lowerCount] = [0, 0];
  for (const bound of bounds) {
    const count = buckets.get(bound) ?? 0;
    if (count >= wanted) {
      if (!Number.isFinite(bound)) return lowerBound;
      return lowerBound + ((bound - lowerBound) * (wanted - lowerCount)) / Math.max(1, count - lowerCount);
    }
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}

/** What was added between two readings of one edge. */
export function difference(now: EdgeFigures, before: EdgeFigures | undefined): EdgeFigures {
  if (before === undefined) return now;
  const buckets = new Map(
    [...now.buckets].map(([bound, count]) => [bound, count - (before.buckets.get(bound) ?? 0)]),
  );
  return {
    ...now,
    requests: now.requests - before.requests,
    failures: now.failures - before.failures,
    retries: now.retries - before.retries,
    mtls: now.mtls - before.mtls,
    buckets,
  };
}
