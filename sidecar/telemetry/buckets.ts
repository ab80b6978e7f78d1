/** Upper bounds of the latency histograms, in ms; the last bucket is open. */
export const BUCKETS_MS: readonly number[] = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
];

/** Upper bounds of the size histograms, in bytes; the last bucket is open. */
export const BUCKETS_BYTES: readonly number[] = [
  0, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216,
];

/** Index of the bucket that counts `value`: the first whose bound is not below it. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++; // below the length
  return bucket;
}
