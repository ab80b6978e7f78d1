import type { Invariant } from '../evidence.ts';

/** Every response, stream and message is that of the request whose client got it. */
export const noMixUp: Invariant = {
  name: 'no-mix-up',
  check: ({ requests }) =>
    requests
      .filter(({ mixedWith }) => mixedWith !== undefined)
      .map(({ id, mixedWith }) => ({
        invariant: 'no-mix-up',
        detail: `the response of ${id} has what belongs to another: ${mixedWith}`,
        requests: [id],
      })),
};
