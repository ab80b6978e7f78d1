import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteBackend } from '../../protocol/route.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { backendHeaders } from './backend-headers.ts';
import { composeChain } from './filter.ts';
import { routeFilters } from './route-filters.ts';

const plain: RouteBackend = { service: 't/plain', weight: 1 };
const v1: RouteBackend = {
  service: 't/v1',
  weight: 1,
  requestHeaders: { set: [['Backend', 'v1']] },
  responseHeaders: { set: [['Served-By', 'v1']], remove: ['server'] },
};
const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

/** Header lines of request and response that went to `backend`. */
function changed(backend: RouteBackend) {
  const chain = composeChain(
    routeFilters({
      matches: [],
      backends: [plain, v1],
      requestHeaders: { set: [['Backend', 'rule']], add: [['X-Rule', '1']] },
      responseHeaders: { set: [['Served-By', 'rule']] },
    }),
  );
  const exchange = exchangeFor('/', ['backend: caller']);
  for (const filter of chain.onRequest) filter.onRequest(exchange, unused);
  exchange.backend = backend;
  for (const filter of chain.onBackend) filter.onBackend(exchange);
  const head = headOf('response', 'HTTP/1.1 200 OK\r\nServer: x\r\nServed-By: app\r\n\r\n');
  for (const filter of chain.onResponse) filter.onResponse(exchange, head);
  return {
    request: fieldLines(exchange.head) + exchange.requestFields,
    response: fieldLines(head) + exchange.responseFields,
  };
}

test('a backend changes headers after the rule on the way there, and before it on the way back', () => {
  assert.deepEqual(changed(v1), {
    request: 'Host: app\r\nX-Rule: 1\r\nBackend: v1\r\n',
    response: 'Served-By: rule\r\n',
  });
});

test('a backend without changes of its own is left alone', () => {
  assert.deepEqual(changed(plain), {
    request: 'Host: app\r\nBackend: rule\r\nX-Rule: 1\r\n',
    response: 'Server: x\r\nServed-By: rule\r\n',
  });
});

test('backends that change nothing make no filter', () => {
  assert.equal(backendHeaders([plain]), undefined);
});
