import assert from 'node:assert/strict';
import type { ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type DrawRequest, type QuotaReply, quotaReplySchema } from '../../protocol/quotas/messages.ts';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { openAuthority } from '../authority/authority.ts';
import { openMemoryStore } from '../quotas/memory-store.ts';
import { MemoryRegistry } from '../registry/memory-registry.fixture.ts';
import { credentials, rawSidecar } from './raw-sidecar.fixture.ts';
import { openControlServer } from './server.ts';

const QUOTA = 't/app#token-bucket:1000:';
const service = (limit: string) => ({
  name: 'app',
  namespace: 't',
  port: 80,
  endpoints: [{ address: '10.0.0.1:80', identity: 't/app' }],
  annotations: { 'tulle.dev/rate-limit': limit },
});
const edge = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: 't' },
  spec: { listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
};
const toApp = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'app', namespace: 't' },
  spec: { parentRefs: [{ kind: 'Gateway', name: 'edge' }], rules: [{ backendRefs: [{ name: 'app' }] }] },
};

/** A control plane whose clock stands still, so that tokens do not come back. */
async function running(context: TestContext) {
  const authority = await openAuthority(join(temporaryDir(context), 'state'), { trustDomain: 'mesh.local' });
  const registry = new MemoryRegistry({ services: [service('100/s')], gateway: [edge], routes: [toApp] });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const quotas = openMemoryStore({ now: () => 1_000_000, bornMs: 0 });
  const server = await openControlServer({ host: '127.0.0.1', port: 0 }, authority, registry, log, {
    quotas,
  });
  const closing: (() => void)[] = [];
  context.after(async () => {
    for (const close of closing) close();
    await server.close();
    authority.close();
  });
  return {
    server,
    registry,
    async drawer(workload: string, headers: Record<string, string> = {}) {
      const proof = await credentials(authority, workload);
      const { session } = rawSidecar(`https://${server.address}`, { ca: authority.bundlePem, ...proof });
      closing.push(() => session.destroy());
      return drawer(session, headers);
    },
  };
}

/** A client that sends what it is told. */
function drawer(session: ClientHttp2Session, headers: Record<string, string>) {
  const stream = session.request({ ':method': 'POST', ':path': '/v1/quotas', ...headers });
  const replies: QuotaReply[] = [];
  const seen = { closed: false };
  let text = '';
  stream.on('error', () => {});
  stream.on('close', () => {
    seen.closed = true;
  });
  stream.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      replies.push(quotaReplySchema.parse(JSON.parse(text.slice(0, end))));
      text = text.slice(end + 1);
    }
  });
  let id = 0;
  return {
    session,
    stream,
    seen,
    replies,
    send: (line: string) => void stream.write(`${line}\n`),
    async draw(
      items: readonly { quota?: string; subject?: string; want: number; back?: number }[],
      exact = false,
    ): Promise<QuotaReply> {
      const request: DrawRequest = {
        type: 'draw',
        id: ++id,
        exact,
        items: items.map((item) => ({ quota: QUOTA, subject: '', back: 0, ...item })),
      };
      stream.write(`${JSON.stringify(request)}\n`);
      let reply: QuotaReply | undefined;
      await until('a reply', () => {
        reply = replies.find((one) => 'id' in one && one.id === request.id);
        return reply !== undefined;
      });
      assert.ok(reply);
      return reply;
    },
    async granted(want: number, back = 0): Promise<number> {
      const reply = await this.draw([{ want, back }]);
      assert.equal(reply.type, 'grants', JSON.stringify(reply));
      return reply.type === 'grants' ? (reply.grants[0]?.granted ?? -1) : -1;
    },
  };
}

test('a sidecar beside an endpoint draws until the quota is used up, and all sidecars draw on one', async (context) => {
  const { drawer, server } = await running(context);
  const first = await drawer('t/app');
  const second = await drawer('t/app');
  assert.equal(await first.granted(50), 50);
  // Of the 40 that are left of 100 - 100 ms' worth, half are for each of two, but for 2 in reserve.
  assert.equal(await second.granted(50), 19);
  assert.equal(await first.granted(100), 9);
  assert.deepEqual(
    { ...server.numbers.quotas, drawing: server.numbers.drawing },
    { messages: 3, draws: 3, granted: 78, returned: 0, exhausted: 0, outages: 0, refused: 0, drawing: 2 },
  );
});

test('an attacker who gives back more than it drew gains nothing', async (context) => {
  const { drawer } = await running(context);
  const thief = await drawer('t/app');
  assert.equal(await thief.granted(90), 90);
  assert.equal(await thief.granted(1), 0);
  assert.equal(await thief.granted(0, 1_000_000), 0);
  assert.equal(await thief.granted(0, 1_000_000), 0);
  assert.equal(await thief.granted(1_000_000), 90);
  assert.equal(await thief.granted(1), 0);
});

test('an attacker of another service, or who says to be a gateway, may not use up a quota', async (context) => {
  const { drawer } = await running(context);
  for (const [workload, headers] of [
    ['t/web', {}],
    ['u/app', {}],
    ['u/edge', { 'tulle-gateway': 't/edge' }],
    ['t/edge', { 'tulle-gateway': 't/other' }],
  ] as const) {
    const stranger = await drawer(workload, headers);
    const reply = await stranger.draw([{ want: 1 }]);
    assert.deepEqual(reply, {
      type: 'refused',
      id: 1,
      detail: `${workload} does not stand beside t/app, nor is it a gateway to it`,
    });
  }
  const gateway = await drawer('t/edge', { 'tulle-gateway': 't/edge' });
  assert.equal(await gateway.granted(1), 1);
});

test('a draw on what is no quota, twice on one bucket, or on two services is refused with its reason', async (context) => {
  const { drawer } = await running(context);
  const sidecar = await drawer('t/app');
  for (const [items, exact, detail] of [
    [[{ quota: 't/app#nothing', want: 1 }], false, 'there is no quota t/app#nothing'],
    [[{ want: 1 }, { want: 1 }], false, `${QUOTA} stands twice in one message`],
    [
      [
        { want: 1, subject: 'a' },
        { want: 1, subject: 'b' },
      ],
      true,
      `${QUOTA} stands twice in one message`,
    ],
    [[{ want: 1 }, { quota: 't/b#x', want: 1 }], false, 'there is no quota t/b#x'],
  ] as const) {
    const reply = await sidecar.draw(items, exact);
    assert.equal(reply.type === 'refused' && reply.detail, detail);
  }
  assert.equal(await sidecar.granted(90), 90);
});

test('a message that is not understood ends the stream', async (context) => {
  const { drawer } = await running(context);
  for (const line of ['{', '{"type":"draw"}', `"${'x'.repeat(600_000)}"`]) {
    const sidecar = await drawer('t/app');
    sidecar.send(line);
    await until('the end', () => sidecar.seen.closed);
  }
});

test('an attacker who opens stream after stream gets four', async (context) => {
  const { server, drawer } = await running(context);
  const { session } = await drawer('t/app');
  await until('the first stream', () => server.numbers.drawing === 1);
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) {
    const more = session.request({ ':method': 'POST', ':path': '/v1/quotas' }, { endStream: false });
    more.on('error', () => {});
    more.on('response', (headers) => statuses.push(Number(headers[':status'])));
  }
  await until('all answers', () => statuses.length === 5);
  assert.deepEqual(statuses.sort(), [200, 200, 200, 429, 429]);
});

test('changed numbers are told to those who draw, and hold from then on', async (context) => {
  const { drawer, registry } = await running(context);
  const sidecar = await drawer('t/app');
  assert.equal(await sidecar.granted(50), 50);
  registry.change({ services: [service('60/s')] }, 't/app');
  await until('the news', () => sidecar.replies.some(({ type }) => type === 'changed'));
  assert.deepEqual(
    sidecar.replies.find(({ type }) => type === 'changed'),
    { type: 'changed', quota: QUOTA, tokens: 60, perMs: 1000, burst: 60 },
  );
  // 54 are kept of a burst of 60, and 50 of them are used.
  assert.equal(await sidecar.granted(50), 4);
});

test('a service is followed while sidecars draw on it', async (context) => {
  const { drawer, registry } = await running(context);
  const sidecar = await drawer('t/app');
  await sidecar.granted(1);
  assert.deepEqual(registry.followed, ['service t/app']);
  sidecar.stream.close();
  await until('the end', () => registry.followed.length === 0);
});
