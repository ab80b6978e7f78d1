import type { TrafficSettings } from './traffic-policy.ts';

/** What holds for a service that says nothing (DESIGN section 7). */
export const DEFAULT_SETTINGS: TrafficSettings = {
  retries: { attempts: 2, on: ['connect'] },
  retryBudget: { ratio: 0.2, perSecond: 10 },
  balance: { strategy: 'p2c-ewma' },
  circuitBreaker: { failures: 5, ejectMinMs: 5_000, ejectMaxMs: 60_000, maxEjectedPercent: 50 },
  limits: { connections: 1024, pending: 1024, requests: 4096 },
  rateLimits: [],
  coalesce: false,
  compress: [],
  mtls: 'permissive',
  opaquePorts: [25, 587, 3306, 4444, 5432, 6379, 9300, 11211],
};
