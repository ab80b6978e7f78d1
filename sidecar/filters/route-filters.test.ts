import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteRule } from '../../protocol/route.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { composeChain } from './filter.ts';
import { routeFilters } from './route-filters.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

test('a rule without wishes, or no rule, has no filter', () => {
  assert.deepEqual(routeFilters(undefined), []);
  assert.deepEqual(routeFilters({ matches: [], backends: [] }), []);
});

test('the filters of a rule stand in the order in which they act', () => {
  const filters = routeFilters({
    matches: [],
    backends: [],
    responseHeaders: {},
    rewrite: {},
    requestHeaders: {},
    redirect: {},
    cors: {
      allowOrigins: [],
      allowCredentials: false,
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      maxAge: 5,
    },
  });
  assert.deepEqual(
    filters.map(({ name }) => name),
    ['cors', 'redirect', 'request-headers', 'rewrite', 'response-headers'],
  );
});

test('what settings ask for acts among what the rule asks for', () => {
  const names = (rule: RouteRule | undefined, settings: Parameters<typeof routeFilters>[1]) =>
    routeFilters(rule, settings).map(({ name }) => name);
  const settings = {
    faults: [
      { share: 1, delayMs: 5 },
      { share: 0, abort: { status: 503 } },
      { share: 0.1, abort: { status: 503 } },
    ],
    directResponse: { status: 503, headers: [], body: '' },
    rewrites: [{ what: 'path' as const, name: '', expression: '/a', replacement: '/b' }],
    sticky: { by: ['ip'] },
  };
  assert.deepEqual(names(undefined, settings), ['fault', 'fault', 'direct-response', 'regex-rewrite']);
  const backends = [
    { service: 't/a', weight: 1 },
    { service: 't/b', weight: 1 },
  ];
  assert.deepEqual(
    names({ matches: [], backends, rewrite: {}, redirect: {}, responseHeaders: {} }, settings),
    [
      'fault',
      'fault',
      'direct-response',
      'redirect',
      'rewrite',
      'regex-rewrite',
      'sticky',
      'response-headers',
    ],
  );
  assert.deepEqual(names(undefined, { faults: [], rewrites: [] }), []);
});

test('header changes and rewrite of one rule act together on a request', () => {
  const chain = composeChain(
    routeFilters({
      matches: [{ path: { type: 'PathPrefix', value: '/v1' }, headers: [], query: [] }],
      backends: [],
      requestHeaders: { set: [['X-A', 'set']] },
      rewrite: { prefix: '/v2', hostname: 'inner' },
    }),
  );
  const exchange = exchangeFor('/v1/a?b', ['x-a: came', 'X-B: kept']);
  for (const filter of chain.onRequest) assert.equal(filter.onRequest(exchange, unused), undefined);
  assert.equal(exchange.target, '/v2/a?b');
  assert.equal(
    fieldLines(exchange.head) + exchange.requestFields,
    'X-B: kept\r\nX-A: set\r\nhost: inner\r\n',
  );
});
