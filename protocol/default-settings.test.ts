import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFields } from './annotations/parse.ts';
import { DEFAULT_SETTINGS } from './default-settings.ts';
import { TRAFFIC_FIELDS, type TrafficSettings } from './traffic-policy.ts';

/** The column "default" of the table in DESIGN section 7, as it is written there. */
const WRITTEN = {
  timeout: 'none',
  'try-timeout': 'none',
  retries: '2 on connect',
  'retry-budget': '20% + 10/s',
  hedge: 'off',
  balance: 'p2c-ewma',
  'circuit-breaker': 'failures 5, eject 5s..60s, max 50%',
  'health-check': 'off',
  limits: 'connections 1024, pending 1024, requests 4096',
  cache: 'off',
  coalesce: 'off',
  compress: 'off',
  fault: 'off',
  'direct-response': 'off',
  rewrite: 'off',
  sticky: 'off',
  mtls: 'permissive',
  'opaque-ports': '25,587,3306,4444,5432,6379,9300,11211',
};

/** In no field as by default. */
const OTHER: TrafficSettings = {
  timeoutMs: 1,
  tryTimeoutMs: 1,
  retries: { attempts: 0, on: [] },
  retryBudget: { ratio: 1, perSecond: 1 },
  hedge: { quantile: 0.5 },
  balance: { strategy: 'random' },
  circuitBreaker: { failures: 1, ejectMinMs: 1, ejectMaxMs: 1, maxEjectedPercent: 1 },
  healthCheck: { kind: 'tcp', target: '', everyMs: 1, timeoutMs: 1 },
  limits: { connections: 1, pending: 1, requests: 1 },
  rateLimits: [],
  cache: { mode: 'respect' },
  coalesce: true,
  compress: ['gzip'],
  faults: [],
  directResponse: { status: 404, headers: [], body: '' },
  rewrites: [],
  sticky: { by: ['ip'] },
  mtls: 'strict',
  opaquePorts: [1],
};

test('the defaults are those of the design, whose own words set every field to them', () => {
  const { settings, problems } = parseFields(WRITTEN, OTHER, (field) => field);
  assert.deepEqual(
    problems.filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.deepEqual(settings, DEFAULT_SETTINGS);
});

test('the fields of which the design says no words: no rate limit, everybody is let in, nothing is cut for being idle', () => {
  const rest = TRAFFIC_FIELDS.filter((field) => !(field in WRITTEN));
  assert.deepEqual(rest, ['idle-timeout', 'connect-timeout', 'rate-limit', 'allow']);
  assert.deepEqual(DEFAULT_SETTINGS.rateLimits, []);
  assert.equal(DEFAULT_SETTINGS.allow, undefined);
  assert.equal(DEFAULT_SETTINGS.idleTimeoutMs, undefined);
  assert.equal(DEFAULT_SETTINGS.connectTimeoutMs, undefined);
});

test('by default a request that may have run is never sent again', () => {
  assert.deepEqual(DEFAULT_SETTINGS.retries.on, ['connect']);
});
