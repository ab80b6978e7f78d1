import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from 'node:net';
import { test } from 'node:test';
import type { GatewayListener } from '../../protocol/gateway.ts';
import { twoAnswering } from '../../test/fixture/backend.ts';
import { serviceOfPort } from '../../test/fixture/captured-mesh.ts';
import { rawClient } from '../../test/fixture/client.ts';
import { freePort } from '../../test/fixture/free-port.ts';
import { relay } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import {
  accepts,
  application,
  at,
  certificateOf,
  gateway,
  get,
  getSecure,
  tls,
  to,
} from './gateway-ports.fixture.ts';

test('ports are opened for the listeners of a Gateway, kept and closed as they change', async (context) => {
  const edge = await gateway(context);
  const [one, two] = [await freePort(), await freePort()];
  assert.match((await edge.readyz()).text, /nothing is known of the Gateway t\/edge yet|there is no Gateway/);
  const routes = [to('a')];
  await edge.serve([{ name: 'one', port: one, protocol: 'HTTP' }], routes);
  assert.equal((await edge.readyz()).status, 200);
  assert.equal(await get(one, 'shop.test'), '200 a');
  await edge.serve(
    [
      { name: 'one', port: one, protocol: 'HTTP' },
      { name: 'two', port: two, protocol: 'HTTP' },
    ],
    routes,
  );
  assert.equal(await get(two, 'shop.test'), '200 a');
  await edge.serve([{ name: 'two', port: two, protocol: 'HTTP' }], routes);
  await until('the first port to be closed', async () => !(await accepts(one)));
  assert.equal(await get(two, 'shop.test'), '200 a');
  await edge.serve([], []);
  await until('the second port to be closed', async () => !(await accepts(two)));
  const none = await edge.readyz();
  assert.equal(none.status, 200);
  assert.match(none.text, /has no listener that is served/);
  edge.mesh.withdraw('gateway t/edge');
  await until('it to be told', async () => /there is no Gateway t\/edge/.test((await edge.readyz()).text));
});

test('the most specific hostname of a port takes the request, and only its routes count', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const routes = ['none', 'wide', 'near', 'exact'].map((name) => to('a', `/${name}`));
  const [none, wide, near, exact] = routes.map(at) as [string, string, string, string];
  const listener = { port, protocol: 'HTTP' as const };
  await edge.serve(
    [
      { ...listener, name: 'none', routes: [none] },
      { ...listener, name: 'wide', hostname: '*.example.com', routes: [wide] },
      { ...listener, name: 'near', hostname: '*.foo.example.com', routes: [near] },
      { ...listener, name: 'exact', hostname: 'abc.foo.example.com', routes: [exact] },
    ],
    routes,
  );
  const own = {
    'bar.com': '/none',
    'bar.example.com': '/wide',
    'bar.foo.example.com': '/near',
    'abc.foo.example.com': '/exact',
  };
  for (const [host, path] of Object.entries(own)) {
    for (const asked of ['/none', '/wide', '/near', '/exact'])
      assert.equal(
        await get(port, host, asked),
        asked === path ? '200 a' : '404 no-route',
        `${host}${asked}`,
      );
  }
});

test('a host that is for no listener of its port is answered 404', async (context) => {
  const edge = await gateway(context);
  const [one, two] = [await freePort(), await freePort()];
  await edge.serve(
    [
      { name: 'foo', port: one, protocol: 'HTTP', hostname: 'foo.com' },
      { name: 'bar', port: two, protocol: 'HTTP', hostname: '*.bar.com' },
    ],
    [to('a')],
  );
  assert.equal(await get(one, 'foo.com'), '200 a');
  assert.equal(await get(one, 'FOO.com.:8080'), '200 a');
  assert.equal(await get(two, 'x.y.bar.com'), '200 a');
  for (const [port, host] of [
    [one, 'x.bar.com'],
    [two, 'foo.com'],
    [two, 'bar.com'],
    [two, '.bar.com'],
  ] as const)
    assert.equal(await get(port, host), '404 no-route', `${port} ${host}`);
});

test('a port that another program has is said, tried again, and disturbs no other', async (context) => {
  const edge = await gateway(context);
  const free = await freePort();
  const taken = createTcpServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  context.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const listeners: GatewayListener[] = [
    { name: 'taken', port, protocol: 'HTTP' },
    { name: 'free', port: free, protocol: 'HTTP' },
  ];
  await edge.serve(listeners, [to('a')]);
  assert.equal(await get(free, 'shop.test'), '200 a');
  await until('it to be said', async () => /EADDRINUSE/.test((await edge.readyz()).text));
  const { status, text } = await edge.readyz();
  assert.equal(status, 200);
  assert.match(text, new RegExp(`cannot listen on 127.0.0.1:${port}: EADDRINUSE`));
  await edge.serve(listeners.slice(0, 1), [to('a')]);
  await until('it not to be ready with no port', async () => (await edge.readyz()).status === 503);
  await new Promise((resolve) => taken.close(resolve));
  await until('it to be served', async () => (await edge.readyz()).status === 200);
  assert.equal(await get(port, 'shop.test'), '200 a');
});

test('listeners come and go under load, and no request to the others fails', async (context) => {
  const edge = await gateway(context);
  const [steady, secure, changing] = [await freePort(), await freePort(), await freePort()];
  const certificates = [await certificateOf('shop.test')];
  const listeners: GatewayListener[] = [
    { name: 'steady', port: steady, protocol: 'HTTP' },
    { name: 'secure', port: secure, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } },
  ];
  const routes = [to('a')];
  await edge.serve(listeners, routes);
  let going = true;
  let answered = 0;
  const load = async (ask: () => Promise<string>): Promise<void> => {
    while (going) {
      assert.equal(await ask(), '200 a');
      answered++;
    }
  };
  const loads = [
    load(() => get(steady, 'shop.test')),
    load(() => get(steady, 'shop.test')),
    load(() => getSecure(secure, 'shop.test')),
    load(() => getSecure(secure, 'shop.test')),
  ];
  for (let round = 0; round < 10; round++) {
    const before = answered;
    const more: GatewayListener[] = [
      { name: 'changing', port: changing, protocol: 'HTTP' },
      { name: 'beside', port: steady, protocol: 'HTTP', hostname: 'beside.test' },
      {
        name: 'under',
        port: secure,
        protocol: 'HTTPS',
        hostname: 'under.test',
        tls: { mode: 'Terminate', certificates },
      },
    ];
    await edge.serve([...listeners, ...more], routes);
    assert.equal(await get(changing, 'shop.test'), '200 a');
    await edge.serve(listeners, routes);
    await until('requests to go on', () => answered > before + 10);
  }
  going = false;
  await Promise.all(loads);
  assert.equal(await accepts(changing), false);
});

test('connections of a listener that is removed drain: a request in progress is answered', async (context) => {
  const edge = await gateway(context);
  const [port, other] = [await freePort(), await freePort()];
  let answer: (() => void) | undefined;
  const slow = createServer((_request, response) => {
    answer = () => response.end(JSON.stringify({ name: 'slow' }));
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  context.after(() => slow.close());
  const address = `127.0.0.1:${(slow.address() as AddressInfo).port}`;
  edge.mesh.tell(serviceOfPort('t/slow:80', [address], { protocol: 'http' }));
  const certificates = [await certificateOf('shop.test')];
  const stays: GatewayListener = { name: 'stays', port: other, protocol: 'HTTP' };
  for (const [listener, ask] of [
    [{ name: 'gone', port, protocol: 'HTTP' }, () => get(port, 'shop.test')],
    [
      { name: 'gone', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } },
      () => getSecure(port, 'shop.test'),
    ],
  ] as const) {
    await edge.serve([stays, listener], [to('slow')]);
    const asked = ask();
    await until('the request to arrive', () => answer !== undefined);
    await edge.serve([stays], [to('slow')]);
    await until('the port to be closed', async () => !(await accepts(port)));
    answer?.();
    answer = undefined;
    assert.equal(await asked, '200 slow');
  }
  await until('nothing to be left', () => edge.sidecar.view.gauges().connections === 0);
});

test('HTTP/2 by prior knowledge and upgrades work on a plain listener, upgrades on HTTPS too', async (context) => {
  const edge = await gateway(context);
  const [port, secure] = [await freePort(), await freePort()];
  const certificates = [await certificateOf('shop.test')];
  await edge.serve(
    [
      { name: 'http', port, protocol: 'HTTP' },
      { name: 'https', port: secure, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } },
    ],
    [to('a')],
  );
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  context.after(() => session.destroy());
  let text = '';
  for await (const part of session.request({ ':authority': 'shop.test' }) as AsyncIterable<Buffer>)
    text += part.toString();
  assert.deepEqual(JSON.parse(text), { name: 'a', host: 'shop.test', proto: 'http' });
  for (const socket of [connectTcp(port, '127.0.0.1'), await tls(secure, 'shop.test')]) {
    let seen = '';
    socket.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
    });
    socket.write('GET /up HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    await until('the switch', () => seen.includes('101 Switching'));
    socket.write('and back');
    await until('the echo', () => seen.endsWith('and back'));
    socket.destroy();
  }
});

test('a listener that is removed from a port that stays takes its kept connections along, and no others', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const tls = { mode: 'Terminate' as const, certificates: [await certificateOf('*.test')] };
  const listener = (name: string): GatewayListener => ({
    name,
    port,
    protocol: 'HTTPS',
    hostname: `${name}.test`,
    tls,
  });
  const plain: GatewayListener = { name: 'plain', port, protocol: 'HTTP' };
  await edge.serve([listener('stays'), listener('goes'), plain], [to('a')]);
  const keep = async (host: string) => {
    const connection = { socket: await opened(port, host), text: '', closed: false };
    connection.socket.on('data', (bytes: Buffer) => {
      connection.text += bytes.toString();
    });
    connection.socket.on('close', () => {
      connection.closed = true;
    });
    await askOn(connection, host);
    return connection;
  };
  const [stays, goes, http] = [await keep('stays.test'), await keep('goes.test'), await keep('')];
  await edge.serve([listener('stays')], [to('a')]);
  await until('connections of what is gone to be closed', () => goes.closed && http.closed);
  await askOn(stays, 'stays.test');
  assert.equal(stays.closed, false);
  await assert.rejects(opened(port, 'goes.test'));
  // By another name the listener for the same host is another; its clients only connect anew.
  await edge.serve([{ ...listener('stays'), name: 'renamed' }], [to('a')]);
  await until('it to be closed', () => stays.closed);
  assert.equal(await getSecure(port, 'stays.test'), '200 a');
});

test('a Gateway of a mesh file is served at the ports of its listeners too', async (context) => {
  const [port, other] = [await freePort(), await freePort()];
  const apiVersion = 'gateway.networking.k8s.io/v1';
  const metadata = { namespace: 't' };
  const route = (name: string, of: number) => ({
    apiVersion,
    kind: 'HTTPRoute',
    metadata: { ...metadata, name },
    spec: {
      parentRefs: [{ kind: 'Gateway', name: 'edge', port: of }],
      rules: [{ backendRefs: [{ name }] }],
    },
  });
  const sidecar = await relay(
    context,
    {
      services: await Promise.all(
        ['a', 'b'].map(async (name) => ({
          name,
          namespace: 't',
          port: 80,
          protocol: 'http',
          endpoints: [await application(context, name)],
        })),
      ),
      gateway: [
        {
          apiVersion,
          kind: 'Gateway',
          metadata: { ...metadata, name: 'edge' },
          spec: {
            listeners: [
              { name: 'one', port, protocol: 'HTTP' },
              { name: 'two', port: other, protocol: 'HTTP', hostname: 'two.test' },
            ],
          },
        },
      ],
      routes: [route('a', port), route('b', other)],
    },
    { gatewayListen: '127.0.0.1' },
  );
  await until('it to be ready', async () => (await fetch(`http://${sidecar.admin}/readyz`)).ok);
  assert.equal(await get(port, 'any.test'), '200 a');
  assert.equal(await get(other, 'two.test'), '200 b');
  assert.equal(await get(other, 'any.test'), '404 no-route');
});

/** A connection by TLS, or a plain one without a server name. */
async function opened(port: number, serverName: string): Promise<Socket> {
  return serverName === '' ? connectTcp(port, '127.0.0.1') : tls(port, serverName);
}

async function askOn(connection: { socket: Socket; text: string }, host: string): Promise<void> {
  const from = connection.text.length;
  connection.socket.write(`GET / HTTP/1.1\r\nHost: ${host || 'any.test'}\r\n\r\n`);
  await until('an answer', () => connection.text.slice(from).includes('"name":"a"'));
}

test('a request that is copied to a mirror still tells through whom it came, and so does its copy', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const [app, mirror] = await twoAnswering(context);
  edge.mesh.tell(serviceOfPort('t/app:80', [app.address], { protocol: 'http' }));
  edge.mesh.tell(serviceOfPort('t/mirror:80', [mirror.address], { protocol: 'http' }));
  const backends = [{ service: 't/app:80', weight: 1 }];
  const rules = [{ matches: [], backends, mirrors: [{ service: 't/mirror:80', share: 1 }] }];
  await edge.serve([{ name: 'http', port, protocol: 'HTTP' }], [to('app', '/', { rules })]);
  const client = await rawClient(`127.0.0.1:${port}`);
  context.after(() => client.close());
  client.send('GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n');
  await until('both to be asked', () => [app, mirror].every(({ received }) => received.includes('\r\n\r\n')));
  for (const { received } of [app, mirror])
    assert.match(received, /^x-forwarded-for: 192\.0\.2\.7, (::ffff:)?127\.0\.0\.1\r$/im);
});
