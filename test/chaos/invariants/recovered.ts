import type { Invariant } from '../evidence.ts';

/** Everything is as before some time after the last fault. */
export const recovered: Invariant = {
  name: 'recovered',
  check: ({ unrecovered }) => unrecovered.map((detail) => ({ invariant: 'recovered', detail, requests: [] })),
};
