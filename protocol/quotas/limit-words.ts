import type { RateLimit } from '../traffic-policy.ts';

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
];

/** A limit as it is written in `tulle.dev/rate-limit`, without its options: `100/s burst 200 by client`. */
export function limitWords({ algorithm, tokens, perMs, burst, by }: RateLimit): string {
  const unit = UNITS.find(([ms]) => ms === perMs)?.[1] ?? 's';
  const keys = by.length === 0 ? '' : ` by ${by.join(',')}`;
  switch (algorithm) {
    case 'token-bucket':
      return `${tokens}/${unit}${burst === tokens ? '' : ` burst ${burst}`}${keys}`;
    case 'sliding-window':
      return `window ${tokens}/${unit}${keys}`;
    case 'sliding-estimate':
      return `estimate ${tokens}/${unit}${keys}`;
    case 'concurrency':
      return `concurrent ${tokens}${keys}`;
  }
}
