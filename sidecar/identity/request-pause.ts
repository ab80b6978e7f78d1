const FIRST_MS = 100;
const LONGEST_MS = 15_000;
/** Nothing can be called without a certificate. */
const LONGEST_WITHOUT_MS = 3_000;

/** How long to wait before an authority is asked again that failed so often before, in ms; full of chance, so that a fleet does not come at once. */
export function requestPauseMs(failures: number, hasCertificate: boolean): number {
  const longest = hasCertificate ? LONGEST_MS : LONGEST_WITHOUT_MS;
  return Math.random() * Math.min(longest, FIRST_MS * 2 ** failures);
}
