const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Cores of a Kubernetes quantity like `100m`, `0.5` or `2`, or undefined. The API server takes no less than a thousandth. */
export function parseCpu(text: string): number | undefined {
  const thousandths = /^(\d{1,9})m$/.exec(text)?.[1];
  if (thousandths !== undefined) return Number(thousandths) / 1000;
  return /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : undefined;
}

/** Bytes of a Kubernetes quantity like `96Mi`, `1.5G` or `1000000`, or undefined. */
export function parseMemory(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)(k|M|G|T|Ki|Mi|Gi|Ti|)$/.exec(text);
  const bytes = Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isInteger(bytes) ? bytes : undefined;
}

/** A request, or the limit where the request is above it, which the API server would refuse. `parse`: of both. */
export function atMost(
  request: string,
  limit: string | undefined,
  parse: (text: string) => number | undefined,
): string {
  return limit !== undefined && (parse(request) ?? 0) > (parse(limit) ?? 0) ? limit : request;
}
