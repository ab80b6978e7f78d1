import type { Metric } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** Counts by bucket of one series: one more than there are bounds, the last one open. */
export interface CountedSeries {
  readonly labels: Labels;
  readonly counts: Float64Array;
  readonly sum: number;
}

interface Sample {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

/** A Prometheus histogram whose buckets are counted elsewhere, and read when it is scraped. */
export function countedHistogram(
  name: string,
  help: string,
  bounds: readonly number[],
  series: () => Iterable<CountedSeries>,
): Metric {
  const metric = {
    name,
    help,
    async get() {
      const values = [...series()].flatMap((one) => samples(name, bounds, one));
      return { name, help, type: 'histogram', values, aggregator: 'sum' };
    },
    reset() {},
  };
  return metric as unknown as Metric; // what a registry calls of a metric is `name`, `get` and `reset`
}

/** Buckets of Prometheus hold all that is not above their bound. */
function samples(name: string, bounds: readonly number[], { labels, counts, sum }: CountedSeries): Sample[] {
  let total = 0;
  const buckets = [...counts].map((count, index) => {
    total += count;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[index] ?? '+Inf' }, value: total };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}
