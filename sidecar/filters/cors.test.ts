import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CorsPolicy } from '../../protocol/route.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { fieldsOf } from '../http/field.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { cors } from './cors.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function policy(more: Partial<CorsPolicy> = {}): CorsPolicy {
  return {
    allowOrigins: ['https://www.foo.test', 'https://*.bar.test'],
    allowCredentials: false,
    allowMethods: ['GET', 'OPTIONS'],
    allowHeaders: ['x-1', 'x-2'],
    exposeHeaders: ['x-3', 'x-4'],
    maxAge: 3600,
    ...more,
  };
}

type Told = Record<string, string>;

function told(fields: string): Told {
  return Object.fromEntries(fieldsOf(fields).map(({ name, value }) => [name.toLowerCase(), value]));
}

/** What the filter tells of a request, and the status if it answers itself. */
function asked(
  of: CorsPolicy,
  method: string,
  lines: readonly string[],
): { status: number | undefined; told: Told } {
  const exchange = exchangeFor('/', lines, { method });
  const verdict = cors(of).onRequest?.(exchange, unused);
  if (verdict === undefined) return { status: undefined, told: told(exchange.responseFields) };
  assert.ok(typeof verdict === 'object');
  assert.deepEqual([verdict.code, verdict.bare], ['cors-preflight', true]);
  return { status: verdict.status, told: told(exchange.responseFields + (verdict.fields ?? '')) };
}

const preflight = (of: CorsPolicy, origin: string, method = 'GET', headers = 'x-1, x-2') =>
  asked(of, 'OPTIONS', [
    `Origin: ${origin}`,
    `Access-Control-Request-Method: ${method}`,
    `Access-Control-Request-Headers: ${headers}`,
  ]);
const simple = (of: CorsPolicy, origin: string) => asked(of, 'GET', [`Origin: ${origin}`]);
const origin = (of: CorsPolicy, from: string) => simple(of, from).told['access-control-allow-origin'];

test('a preflight of an origin that is allowed is told all that is', () => {
  assert.deepEqual(preflight(policy({ allowCredentials: true }), 'https://www.foo.test'), {
    status: 200,
    told: {
      vary: 'Origin',
      'access-control-allow-origin': 'https://www.foo.test',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, OPTIONS',
      'access-control-allow-headers': 'x-1, x-2',
      'access-control-expose-headers': 'x-3, x-4',
      'access-control-max-age': '3600',
    },
  });
});

test('a preflight of another origin is answered, and told nothing', () => {
  assert.deepEqual(preflight(policy(), 'https://evil.test'), { status: 200, told: { vary: 'Origin' } });
});

test('OPTIONS that is no preflight, and a request without an origin, go on', () => {
  assert.equal(asked(policy(), 'OPTIONS', ['Origin: https://www.foo.test']).status, undefined);
  assert.equal(asked(policy(), 'OPTIONS', ['Access-Control-Request-Method: GET']).status, undefined);
  assert.deepEqual(asked(policy(), 'GET', []), { status: undefined, told: { vary: 'Origin' } });
});

test('a response to an origin that is allowed says so, and to others not', () => {
  assert.deepEqual(simple(policy(), 'https://www.foo.test'), {
    status: undefined,
    told: {
      vary: 'Origin',
      'access-control-allow-origin': 'https://www.foo.test',
      'access-control-expose-headers': 'x-3, x-4',
    },
  });
  assert.deepEqual(simple(policy(), 'https://foobar.test').told, { vary: 'Origin' });
});

test('* in an origin stands for any number of labels to its left, and for nothing else', () => {
  for (const from of [
    'https://a.bar.test',
    'https://b.a.bar.test',
    'https://A.Bar.test',
    'https://a.bar.test:443',
  ])
    assert.equal(origin(policy(), from), from);
  const ports = policy({ allowOrigins: ['http://*:8080', 'http://*.a.test:80'] });
  for (const from of ['http://x.test:8080', 'http://b.a.test']) assert.equal(origin(ports, from), from);
  assert.equal(origin(ports, 'http://x.test:8081'), undefined);
});

test('an attacker whose origin looks like one that is allowed is told nothing', () => {
  for (const from of [
    'https://bar.test',
    'https://xbar.test',
    'http://a.bar.test',
    'https://a.bar.test.evil.test',
    'https://evil.test/.bar.test',
    'https://evil.test:1.bar.test',
    'https://evil.test#.bar.test',
    'https://a.bar.test:8443',
    'https://www.foo.test.evil.test',
    'https://wwwxfoo.test',
    'null',
  ])
    assert.equal(origin(policy(), from), undefined, from);
});

test('the usual port of a scheme may be written or not', () => {
  const of = policy({ allowOrigins: ['https://a.test:443', 'http://b.test'] });
  assert.equal(origin(of, 'https://a.test'), 'https://a.test');
  assert.equal(origin(of, 'http://b.test:80'), 'http://b.test:80');
  assert.equal(origin(of, 'http://b.test:443'), undefined);
});

test('every origin is told * without credentials, and never with them', () => {
  const all = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'] };
  const open = policy(all);
  assert.deepEqual(preflight(open, 'https://any.test:12345', 'PUT').told, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': '*',
    'access-control-allow-headers': '*',
    'access-control-expose-headers': '*',
    'access-control-max-age': '3600',
  });
  const trusted = policy({ ...all, allowCredentials: true });
  assert.deepEqual(preflight(trusted, 'https://any.test', 'PUT').told, {
    vary: 'Origin',
    'access-control-allow-origin': 'https://any.test',
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'PUT',
    'access-control-allow-headers': 'x-1, x-2',
    'access-control-max-age': '3600',
  });
  const without = asked(trusted, 'OPTIONS', [
    'Origin: https://any.test',
    'Access-Control-Request-Method: PUT',
  ]);
  assert.equal(without.told['access-control-allow-headers'], undefined);
});

test('what the server itself says of origins does not stand beside what the route says', () => {
  const head = headOf(
    'response',
    'HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\nX-A: 1\r\n\r\n',
  );
  cors(policy()).onResponse?.(exchangeFor(), head);
  assert.equal(fieldLines(head), 'X-A: 1\r\n');
});
