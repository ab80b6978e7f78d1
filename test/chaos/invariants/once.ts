import type { Invariant } from '../evidence.ts';

const AT_MOST_ONCE = new Set(['POST', 'GRPC']);

/** What may not run twice arrives at an application at most once, whatever fails: no double payouts. */
export const once: Invariant = {
  name: 'once',
  check({ arrivals }) {
    const once = arrivals.filter(({ method }) => AT_MOST_ONCE.has(method));
    const twice = [...Map.groupBy(once, ({ id, service }) => `${service} ${id}`)].filter(
      ([, all]) => all.length > 1,
    );
    return twice.map(([, all]) => ({
      invariant: 'once',
      detail: `a ${all[0]?.method} arrived ${all.length} times: at ${all.map(({ instance }) => instance).join(', ')}`,
      requests: [all[0]?.id ?? ''],
    }));
  },
};
