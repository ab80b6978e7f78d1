/** Up to this share of failures among its peers, an endpoint is judged by its own alone. */
const USUAL = 0.05;

/** What `standsOut` wants for a breaker that ejects after so many failures in a row. */
export function evidenceFor(failures: number): number {
  // With some room for rounding: just so many in a row among peers that fail in 5 % do.
  return failures * Math.log(1 / USUAL) * (1 - Number.EPSILON * 8);
}

/**
 * Whether `failures` of `attempts` say something of one endpoint, or are what any would show at its peers' failure
 * rate (0 to 1). `evidence` is the least logarithm of how improbable they are at that rate: attempts times the
 * Kullback-Leibler divergence, which bounds that probability (Chernoff). So failures in a row need to be more the more
 * its peers fail, and when all fail nobody stands out.
 */
export function standsOut(failures: number, attempts: number, peersRate: number, evidence: number): boolean {
  const rate = failures / attempts;
  if (peersRate <= 0) return rate > 0;
  if (rate <= peersRate) return false;
  return attempts * divergence(rate, peersRate) >= evidence;
}

function divergence(rate: number, from: number): number {
  const failing = rate * Math.log(rate / from);
  return rate === 1 ? failing : failing + (1 - rate) * Math.log((1 - rate) / (1 - from));
}
