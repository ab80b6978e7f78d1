/** How requests come to a fleet: data, since it goes to other processes. */
export interface Demand {
  /**
   * `equal`: the same at each sidecar; `zipf`: half as much at the second as at the first, a third at the third ...;
   * `bursts`: equal, and all of a second in its first 200 ms; `hot-spot`: four fifths at one sidecar, each second another.
   */
  readonly shape: 'equal' | 'zipf' | 'bursts' | 'hot-spot';
  /** Of all sidecars together. */
  readonly perSecond: number;
}

const BURST_MS = 200;
const HOT_SHARE = 0.8;

/** Requests a second at sidecar `index` of `count`, `ms` after the beginning. */
export function demandOf({ shape, perSecond }: Demand, index: number, count: number, ms: number): number {
  const even = perSecond / count;
  if (shape === 'zipf') return perSecond / harmonic(count) / (index + 1);
  if (shape === 'bursts') return ms % 1000 < BURST_MS ? (even * 1000) / BURST_MS : 0;
  if (shape === 'equal' || count === 1) return even;
  const hot = Math.floor(ms / 1000) % count === index;
  return perSecond * (hot ? HOT_SHARE : (1 - HOT_SHARE) / (count - 1));
}

function harmonic(count: number): number {
  return Array.from({ length: count }, (_, index) => 1 / (index + 1)).reduce((a, b) => a + b, 0);
}
