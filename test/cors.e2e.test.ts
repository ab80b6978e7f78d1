import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { bothRoute, edgeMesh, type TwoWays, twoWays } from './fixture/two-ways.ts';

/** What a careless server says of origins. */
const CARELESS = { 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true' };

/** A service whose one rule has this CORS filter, and what its server was asked. */
async function shared(context: TestContext, cors: object): Promise<TwoWays & { readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response.writeHead(200, CARELESS).end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo; // it listens by TCP
  const rules = [{ filters: [{ type: 'CORS', cors }], backendRefs: [{ name: 'app' }] }];
  const sidecar = await twoWays(
    context,
    edgeMesh(
      { app: { protocol: 'http', endpoints: [`127.0.0.1:${port}`] } },
      { routes: [bothRoute('HTTPRoute', 'app', 'app', rules)] },
    ),
  );
  return Object.assign(sidecar, { asked });
}

/** The headers by which a browser decides. */
function told(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );
}

const preflight = (origin: string) => ({
  origin,
  'access-control-request-method': 'PUT',
  'access-control-request-headers': 'x-user',
});

test('a preflight is answered for the server, and the page of an allowed origin may read the response, by whatever protocol and listener', async (context) => {
  const { ways, asked } = await shared(context, {
    allowOrigins: ['https://shop.test', 'https://*.shop.test'],
    allowMethods: ['GET', 'PUT'],
    allowHeaders: ['x-user'],
    exposeHeaders: ['x-total'],
    allowCredentials: true,
    maxAge: 60,
  });
  for (const { name, ask } of ways) {
    for (const origin of ['https://shop.test', 'https://www.shop.test', 'https://shop.test:443']) {
      const readable = {
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'x-total',
        vary: 'Origin',
      };
      const allowed = await ask('/a', preflight(origin), 'OPTIONS');
      assert.deepEqual([allowed.status, allowed.body], [200, ''], name);
      assert.equal(allowed.headers['tulle-reason'], 'cors-preflight', name);
      const may = {
        'access-control-allow-methods': 'GET, PUT',
        'access-control-allow-headers': 'x-user',
        'access-control-max-age': '60',
      };
      assert.deepEqual(told(allowed.headers), { ...readable, ...may }, name);
      assert.deepEqual(asked, [], 'the server is not asked');
      const answer = await ask('/a', { origin });
      assert.deepEqual([answer.status, answer.body], [200, 'hello'], name);
      assert.deepEqual(told(answer.headers), readable, name);
      assert.deepEqual(asked.splice(0), ['GET /a'], name);
    }
  }
});

test('the page of another origin may read nothing, whatever the server says, but its request is not refused', async (context) => {
  const { ways, asked } = await shared(context, {
    allowOrigins: ['https://shop.test', 'https://*.shop.test'],
  });
  for (const { name, ask } of ways) {
    for (const origin of [
      'https://evil.test',
      'http://shop.test',
      'https://shop.test:8443',
      'https://shop.test.evil.test',
      'https://evil.test/.shop.test',
      'https://evilshop.test',
      'null',
    ]) {
      const refused = await ask('/a', preflight(origin), 'OPTIONS');
      assert.equal(refused.status, 200, name);
      assert.equal(refused.headers['tulle-reason'], 'cors-preflight', name);
      assert.deepEqual(told(refused.headers), { vary: 'Origin' }, `${origin} by ${name}`);
      const answer = await ask('/a', { origin });
      assert.deepEqual([answer.status, answer.body], [200, 'hello'], name);
      assert.deepEqual(told(answer.headers), { vary: 'Origin' }, `${origin} by ${name}`);
    }
    // No browser asks so: it is a request as any other.
    assert.equal((await ask('/b', {}, 'OPTIONS')).body, 'hello', name);
    assert.equal((await ask('/b', { origin: 'https://shop.test' }, 'OPTIONS')).body, 'hello', name);
  }
  assert.ok(asked.includes('OPTIONS /b'));
});

test('every origin may read what is open to all', async (context) => {
  const { ways } = await shared(context, { allowOrigins: ['*'] });
  for (const { name, ask } of ways)
    for (const path of ['/a', '/b']) {
      const answer = await ask(path, { origin: 'https://any.test' });
      assert.deepEqual(told(answer.headers), { 'access-control-allow-origin': '*' }, name);
    }
});

test('the page of an allowed origin may read what Tulle answers itself, too', async (context) => {
  const rules = [
    {
      filters: [{ type: 'CORS', cors: { allowOrigins: ['https://shop.test'] } }],
      backendRefs: [{ name: 'gone' }],
    },
  ];
  const mesh = edgeMesh(
    { app: { protocol: 'http', endpoints: [] }, gone: { protocol: 'http', endpoints: [] } },
    { routes: [bothRoute('HTTPRoute', 'app', 'app', rules)] },
  );
  const { ways } = await twoWays(context, mesh);
  for (const { name, ask } of ways) {
    const { status, headers } = await ask('/', { origin: 'https://shop.test' });
    assert.equal(status, 503, name);
    assert.equal(headers['access-control-allow-origin'], 'https://shop.test', name);
  }
});
