import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type RawClient, rawClient } from '../../test/fixture/client.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { describe, type Explanation } from '../telemetry/explanation.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { type AdminSources, openAdmin } from './admin.ts';

const EXPLANATION: Explanation = {
  id: 'abc',
  at: 1_767_225_600_000,
  listener: 'inbound',
  peer: '',
  peerAddress: '10.0.0.9:4711',
  method: 'GET',
  host: 'app',
  path: '/x',
  route: '',
  routeWhy: 'inbound of t/app',
  service: 't/app',
  attempts: [],
  policies: [],
  status: 200,
  reason: '',
  detail: '',
  durationMs: 1,
  requestBytes: 0,
  responseBytes: 0,
  mtls: false,
};

interface Admin {
  readonly address: string;
  readonly drained: number;
  client(): Promise<RawClient>;
  /** Asks on a connection of its own; `lines` with their CRLF. */
  ask(line: string, lines?: string): Promise<Answer>;
  close(): void;
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

function answerOf(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  return { status: Number(text.slice(9, 12)), head: text.slice(0, end + 2), body: text.slice(end + 4) };
}

async function admin(context: TestContext, more: Partial<AdminSources> = {}): Promise<Admin> {
  let drained = 0;
  const sources: AdminSources = {
    ready: () => ({ ready: true, reasons: [], degraded: ['a little'] }),
    config: () => ({ services: ['é'] }),
    certs: () => ({ identity: null }),
    metrics: async () => ({ text: 'a 1\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' }),
    explain: (id) => (id === 'abc' ? EXPLANATION : undefined),
    recent: (limit) => Array.from({ length: limit }, () => EXPLANATION),
    drain: () => {
      drained++;
    },
    ...more,
  };
  const opened = await openAdmin('127.0.0.1:0', sources, DEFAULT_LIMITS, new TimerWheel());
  context.after(() => opened.close());
  const client = async () => {
    const one = await rawClient(opened.address);
    context.after(() => one.close());
    return one;
  };
  return {
    ...opened,
    client,
    get drained() {
      return drained;
    },
    async ask(line, lines = 'Host: localhost\r\n') {
      const one = await client();
      one.send(`${line} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`);
      const answer = answerOf(await one.untilEnd());
      one.close();
      return answer;
    },
  };
}

for (const [path, type, body] of [
  ['/livez', 'text/plain; charset=utf-8', 'ok\n'],
  ['/readyz', 'application/json', { ready: true, reasons: [], degraded: ['a little'] }],
  ['/metrics', 'text/plain; version=0.0.4; charset=utf-8', 'a 1\n'],
  ['/certs', 'application/json', { identity: null }],
  ['/explain/abc', 'application/json', EXPLANATION],
  ['/livez?verbose', 'text/plain; charset=utf-8', 'ok\n'],
] as const) {
  test(`${path} answers GET with its page, and HEAD with the same head`, async (context) => {
    const { ask } = await admin(context);
    const answer = await ask(`GET ${path}`);
    assert.equal(answer.status, 200);
    assert.ok(answer.head.includes(`\r\ncontent-type: ${type}\r\n`), answer.head);
    assert.match(answer.head, /\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n/);
    assert.deepEqual(typeof body === 'string' ? answer.body : JSON.parse(answer.body), body);
    assert.deepEqual(await ask(`HEAD ${path}`), { ...answer, body: '' });
  });
}

test('lengths are in bytes: a name beyond ASCII in the configuration does not cut the page', async (context) => {
  const { head, body } = await (await admin(context)).ask('GET /config');
  assert.equal(Number(/content-length: (\d+)/.exec(head)?.[1]), body.length);
  assert.deepEqual(JSON.parse(Buffer.from(body, 'latin1').toString()), { services: ['é'] });
});

test('/readyz answers 503 with the reasons while it is not ready', async (context) => {
  const state = { ready: false, reasons: ['no certificate yet'], degraded: [] };
  const answer = await (await admin(context, { ready: () => state })).ask('GET /readyz');
  assert.equal(answer.status, 503);
  assert.deepEqual(JSON.parse(answer.body), state);
});

test('/explain lists the newest hundred', async (context) => {
  const { body } = await (await admin(context)).ask('GET /explain');
  assert.equal((JSON.parse(body) as unknown[]).length, 100);
});

test('/explain/ID is text for who asks for text, and 404 for a request that is not remembered', async (context) => {
  const { ask } = await admin(context);
  const told = await ask('GET /explain/abc', 'Host: localhost\r\nAccept: text/plain\r\n');
  assert.equal(told.body, describe(EXPLANATION));
  const unknown = await ask('GET /explain/xyz');
  assert.equal(unknown.status, 404);
  assert.match(unknown.body, /remembers no request of that id/);
});

test('a page that there is not is 404, and tells which there are', async (context) => {
  const { ask } = await admin(context);
  for (const path of ['/', '/nothing', '/livez/', '//livez', '/LIVEZ', '/explaining']) {
    const answer = await ask(`GET ${path}`);
    assert.equal(answer.status, 404, path);
    assert.match(answer.body, /^there are: livez readyz metrics/);
  }
});

test('a method that there is not is 405, and names those that there are', async (context) => {
  const mesh = await admin(context);
  for (const [line, allow] of [
    ['POST /livez', 'GET, HEAD'],
    ['PUT /config', 'GET, HEAD'],
    ['OPTIONS /metrics', 'GET, HEAD'],
    ['DELETE /nothing', 'GET, HEAD'],
    ['GET /drain', 'POST'],
    ['HEAD /drain', 'POST'],
    ['PUT /drain', 'POST'],
  ] as const) {
    const answer = await mesh.ask(line);
    assert.equal(answer.status, 405, line);
    assert.ok(answer.head.includes(`\r\nallow: ${allow}\r\n`), `${line}: ${answer.head}`);
  }
  assert.equal(mesh.drained, 0);
});

test('POST /drain drains once it is answered: a drain with nothing to wait for closes this port at once', async (context) => {
  const state = { drained: 0 };
  const mesh: Admin = await admin(context, {
    drain: () => {
      state.drained++;
      mesh.close();
    },
  });
  const answer = await mesh.ask('POST /drain');
  assert.deepEqual([answer.status, answer.body, state.drained], [202, 'draining\n', 1]);
});

test('a body is thrown away, and the request answered when it is over', async (context) => {
  const mesh = await admin(context);
  const client = await mesh.client();
  client.send('POST /drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  await turn();
  assert.equal(mesh.drained, 0);
  client.send('0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.expect('ok\n');
  assert.equal(mesh.drained, 1);
});

for (const host of [
  'evil.test',
  'localhost.evil.test',
  'evil.test:15000',
  '127.0.0.1.evil.test',
  'notlocalhost',
  '[::1].evil.test',
]) {
  test(`a page in a browser that made ${host} resolve to this port (DNS rebinding) reads nothing and drains nothing`, async (context) => {
    const mesh = await admin(context);
    for (const line of ['GET /config', 'HEAD /config', 'POST /drain', 'GET /nothing']) {
      const answer = await mesh.ask(line, `Host: ${host}\r\n`);
      assert.ok(answer.status === 403 || answer.status === 400, `${line}: ${answer.status}`);
      assert.ok(!answer.body.includes('services'));
    }
    assert.equal(mesh.drained, 0);
  });
}

test('a page in a browser that posts to /drain from another site is refused', async (context) => {
  const mesh = await admin(context);
  for (const origin of ['https://evil.test', 'null']) {
    const answer = await mesh.ask('POST /drain', `Host: localhost\r\nOrigin: ${origin}\r\n`);
    assert.equal(answer.status, 403);
  }
  assert.equal(mesh.drained, 0);
});

for (const host of ['localhost', 'localhost:15000', '127.0.0.1', '10.1.2.3:15000', '[::1]', '[::1]:15000']) {
  test(`it is reached as ${host}`, async (context) => {
    assert.equal((await (await admin(context)).ask('GET /livez', `Host: ${host}\r\n`)).status, 200);
  });
}

test('a request line that the engine refuses is answered with what is wrong, and the connection ends', async (context) => {
  const client = await (await admin(context)).client();
  client.send('GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const answer = answerOf(await client.untilEnd());
  assert.equal(answer.status, 400);
  assert.match(answer.head, /\r\nconnection: close\r\n/);
  assert.notEqual(answer.body, '');
});

test('a connection serves one request after the other, in order, pipelined ones too', async (context) => {
  const client = await (await admin(context)).client();
  client.send('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.ok(!(await client.expect('ok\n')).includes('connection: close'));
  client.send(
    'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /explain/xyz HTTP/1.1\r\nHost: localhost\r\n\r\n',
  );
  const text = await client.expect('only the newest are kept\n');
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['200', '200', '200', '404'],
  );
  assert.equal(client.ended, false);
});

test('a page that cannot be made is 500 with its reason, and the next is served', async (context) => {
  const { ask } = await admin(context, {
    metrics: () => Promise.reject(new Error('no numbers today')),
    certs: () => {
      throw new Error('no certificates today');
    },
  });
  for (const [path, reason] of [
    ['/metrics', 'no numbers today\n'],
    ['/certs', 'no certificates today\n'],
  ] as const) {
    const answer = await ask(`GET ${path}`);
    assert.deepEqual([answer.status, answer.body], [500, reason]);
  }
  assert.equal((await ask('GET /livez')).status, 200);
});

test('a client that goes away while its page is made leaves nothing behind', async (context) => {
  let give = (): void => {};
  const made = new Promise<{ text: string; contentType: string }>((resolve) => {
    give = () => resolve({ text: 'late\n', contentType: 'text/plain' });
  });
  let asked = 0;
  const mesh = await admin(context, {
    metrics: () => {
      asked++;
      return made;
    },
  });
  const client = await mesh.client();
  client.send('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('the question', () => asked === 1);
  client.socket.resetAndDestroy();
  await until('it is gone', () => client.closed);
  await turn();
  give();
  await turn();
  assert.equal((await mesh.ask('GET /livez')).status, 200);
});

test('a client that goes away in the middle of its body is not answered', async (context) => {
  const mesh = await admin(context);
  const client = await mesh.client();
  client.send('POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc');
  await turn();
  client.socket.end();
  assert.equal(await client.untilEnd(), '');
  assert.equal(mesh.drained, 0);
});

test('an attacker who opens very many connections is cut off, and others are served once some are closed', async (context) => {
  const mesh = await admin(context);
  const clients: RawClient[] = [];
  for (let i = 0; i < 256; i++) clients.push(await mesh.client());
  clients[255]?.send('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await clients[255]?.expect('ok\n');
  const more = await mesh.client();
  assert.equal(await more.untilEnd(), '');
  clients[0]?.close();
  await until('a place', async () => {
    const client = await mesh.client();
    client.send('GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    return (await client.untilEnd()) !== '';
  });
});

test('once closed, nobody is let in and open connections end', async (context) => {
  const mesh = await admin(context);
  const client = await mesh.client();
  client.send('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.expect('ok\n');
  mesh.close();
  await client.untilEnd();
});

test('an address in use is named', async (context) => {
  const { address } = await admin(context);
  const sources = {} as AdminSources; // nobody asks it
  await assert.rejects(openAdmin(address, sources, DEFAULT_LIMITS, new TimerWheel()), {
    message: `cannot listen on ${address}: EADDRINUSE`,
  });
});
