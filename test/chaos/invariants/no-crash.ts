import type { Invariant } from '../evidence.ts';

/** No process ends that nobody ended. */
export const noCrash: Invariant = {
  name: 'no-crash',
  check: ({ deaths }) => deaths.map((detail) => ({ invariant: 'no-crash', detail, requests: [] })),
};
