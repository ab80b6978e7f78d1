import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  });
  assert.deepEqual(
    filters.map(({ name }) => name),
    ['redirect', 'request-headers', 'rewrite', 'response-headers'],
  );
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
