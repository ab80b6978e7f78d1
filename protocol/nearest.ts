/** Edit distance by Levenshtein, with an end once it is above `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(change, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
    }
    previous = current;
  }
  return previous[b.length] ?? limit + 1;
}

/** The known name that was probably meant by `word`, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const start = word.slice(0, 100).toLowerCase();
  const limit = Math.max(1, Math.floor(start.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of known) {
    const away = distance(start, name.toLowerCase(), limit);
    if (away < bestDistance) [best, bestDistance] = [name, away];
  }
  return best;
}
