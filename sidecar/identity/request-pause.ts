const FIRST_MS = 100;
const LONGEST_MS = 15_000;
/** Nothing can be called without a certificate. */
const LONGEST_WITHOUT_MS = 3_000;

/**
 * How long to wait before an authority is asked again that failed so often before, in ms; full of chance, so that a fleet does
 * not come at once. `leftMs`: of the life of the certificate that is there; the nearer its end, the sooner.
 */
export function requestPauseMs(failures: number, leftMs: number): number {
  const longest = Math.min(LONGEST_MS, Math.max(LONGEST_WITHOUT_MS, leftMs / 2));
  return Math.random() * Math.min(longest, FIRST_MS * 2 ** failures);
}
