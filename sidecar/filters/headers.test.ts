import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeaderChanges } from '../../protocol/route.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { requestHeaders, responseHeaders } from './headers.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

/** The header lines that go on to the upstream. */
function sent(lines: readonly string[], changes: HeaderChanges): string {
  const exchange = exchangeFor('/', lines);
  assert.equal(requestHeaders(changes).onRequest?.(exchange, unused), undefined);
  return fieldLines(exchange.head) + exchange.requestFields;
}

test('what is set replaces every line of that name, in any case', () => {
  assert.equal(
    sent(['X-Role: admin', 'x-role: root', 'X-ROLE: god', 'X-Roles: kept'], { set: [['X-Role', 'none']] }),
    'Host: app\r\nX-Roles: kept\r\nX-Role: none\r\n',
  );
});

test('a caller cannot keep a line of its own beside one that is set by writing its name with _ or ^', () => {
  assert.equal(
    sent(['X_Role: admin', 'x_role: root', 'x-role: kept', 'A^b: 1', 'a~b: kept'], {
      set: [['x_role', 'none']],
      remove: ['a^B'],
    }),
    'Host: app\r\nx-role: kept\r\na~b: kept\r\nx_role: none\r\n',
  );
});

test('what is added joins the lines that came', () => {
  assert.equal(
    sent(['Via: a'], {
      add: [
        ['Via', 'b'],
        ['Via', 'c'],
      ],
    }),
    'Host: app\r\nVia: a\r\nVia: b\r\nVia: c\r\n',
  );
});

test('what is removed is gone in every line and case, and other lines keep order and form', () => {
  assert.equal(
    sent(['B:  2', 'X-Secret: 1', 'a: \t1', 'x-SECRET: 2', 'C:3'], { remove: ['x-Secret'] }),
    'Host: app\r\nB:  2\r\na: \t1\r\nC:3\r\n',
  );
});

test('set, add and remove together: what came is removed, what the route gives stays', () => {
  assert.equal(
    sent(['A: came', 'B: came', 'C: came'], {
      set: [['A', 'set']],
      add: [['B', 'added']],
      remove: ['B', 'C'],
    }),
    'Host: app\r\nA: set\r\nB: added\r\n',
  );
});

test('the lines of a route follow those that other stages gave', () => {
  const exchange = exchangeFor();
  exchange.requestFields = 'x-request-id: 1\r\n';
  requestHeaders({ add: [['a', 'b']] }).onRequest?.(exchange, unused);
  assert.equal(exchange.requestFields, 'x-request-id: 1\r\na: b\r\n');
});

test('response headers change in the same way, and the request is left alone', () => {
  const exchange = exchangeFor('/', ['Server: request']);
  const head = headOf(
    'response',
    'HTTP/1.1 200 OK\r\nServer: one\r\nserver: two\r\nX-Debug: 1\r\nContent-Length: 0\r\n\r\n',
  );
  const filter = responseHeaders({ set: [['Server', 'tulle']], add: [['X-A', '1']], remove: ['x-debug'] });
  filter.onResponse?.(exchange, head);
  assert.equal(
    fieldLines(head) + exchange.responseFields,
    'Content-Length: 0\r\nServer: tulle\r\nX-A: 1\r\n',
  );
  assert.equal(exchange.requestFields, '');
  assert.equal(fieldLines(exchange.head), 'Host: app\r\nServer: request\r\n');
});
