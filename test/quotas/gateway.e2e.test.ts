import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { application } from '../fixture/small-mesh.ts';
import { metric } from '../fixture/tcp-mesh.ts';
import { startTulle, type Tulle } from '../fixture/tulle.ts';
import { askHttp1 } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { ask, openSession } from '../http2/client.ts';

const LIMIT = { timeout: 120_000 };
const GATEWAY_API = 'gateway.networking.k8s.io/v1';

/** `orders`, with and without its sidecar, behind a gateway; one control plane counts for both, all in processes of their own. */
interface EdgeMesh {
  readonly gateway: Tulle;
  readonly sidecar: Tulle;
  /** `orders` is its application alone from now on, or that behind its sidecar; waits until the gateway knows. */
  without(): Promise<void>;
  meshed(): Promise<void>;
  /** Changes the limit, together with the next of the two. */
  limit(rateLimit: string): void;
  /** The outbound listener of a workload that calls `orders`, behind a sidecar of its own. */
  caller(name: string): Promise<string>;
}

async function edgeMesh(context: TestContext, rateLimit: string): Promise<EdgeMesh> {
  const dir = temporaryDir(context);
  const [meshFile, state] = [join(dir, 'mesh.yaml'), join(dir, 'state')];
  let limit = rateLimit;
  const write = (...endpoints: object[]): void => writeMesh(meshFile, meshOf(endpoints, limit));
  write();
  const controlPlane = await startTulle(
    context,
    ...['control-plane', '--mesh', meshFile, '--state', state, '--listen', '127.0.0.1:0'],
  );
  const { address = '', bundle = '' } = controlPlane.ready;
  const joined = async (name: string, ...flags: readonly string[]): Promise<Tulle> => {
    const token = join(dir, `${name}.token`);
    writeFileSync(token, await mintJoinToken(state, `shop/${name}`, 600_000), { mode: 0o600 });
    const joining = ['--control-plane', address, '--bundle', bundle, '--token-file', token];
    return startTulle(context, 'sidecar', ...joining, '--admin', '127.0.0.1:0', ...flags);
  };
  const app = await application(context, 'orders');
  const sidecar = await joined('orders', '--inbound', '127.0.0.1:0', '--workload', `shop/orders=${app}`);
  const gateway = await joined(
    'edge',
    ...['--gateway', '127.0.0.1:0', '--gateway-name', 'shop/edge', '--namespace', 'shop'],
  );
  const endpoint = async (one: { readonly address: string; readonly identity?: string }): Promise<void> => {
    write(one);
    await until(`${one.address} at the gateway`, async () => {
      const config = await (await fetch(`http://${gateway.ready.admin}/config`)).text();
      return config.includes(one.address);
    });
  };
  return {
    gateway,
    sidecar,
    without: () => endpoint({ address: app }),
    limit(text) {
      limit = text;
    },
    async caller(name) {
      const flags = ['--outbound', '127.0.0.1:0', '--workload', `shop/${name}=127.0.0.1:1`];
      return (await joined(name, ...flags)).ready.outbound ?? '';
    },
    // By an identity of its endpoints a service is known to have sidecars.
    meshed: () => endpoint({ address: sidecar.ready.inbound ?? '', identity: 'shop/orders' }),
  };
}

function meshOf(endpoints: readonly object[], rateLimit: string): object {
  const annotations = { 'tulle.dev/rate-limit': rateLimit };
  return {
    services: [
      { name: 'orders', namespace: 'shop', port: 80, protocol: 'http', endpoints, annotations },
      { name: 'web', namespace: 'shop', port: 80 },
      { name: 'cart', namespace: 'shop', port: 80 },
    ],
    gateway: [
      {
        apiVersion: GATEWAY_API,
        kind: 'Gateway',
        metadata: { name: 'edge', namespace: 'shop' },
        spec: { listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
      },
    ],
    routes: [
      {
        apiVersion: GATEWAY_API,
        kind: 'HTTPRoute',
        metadata: { name: 'orders', namespace: 'shop' },
        spec: {
          parentRefs: [{ kind: 'Gateway', name: 'edge' }],
          hostnames: ['orders.shop'],
          rules: [{ backendRefs: [{ name: 'orders' }] }],
        },
      },
    ],
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

type Ask = () => Promise<Answer>;

/** A client of the gateway at this address, by HTTP/1.1 and by HTTP/2. */
function clientAt(context: TestContext, { ready }: Tulle, from: string): readonly [Ask, Ask] {
  const { gateway = '' } = ready;
  const [host = '', port] = gateway.split(':');
  return [
    () => askHttp1(gateway, '/', { host: 'orders.shop' }, 'GET', '', from),
    async () => {
      const createConnection = () => connect({ host, port: Number(port), localAddress: from });
      const session = await openSession(context, gateway, { createConnection });
      const { status, headers, body } = await ask(session, { ':authority': 'orders.shop' });
      return { status, headers, body: body.toString() };
    },
  ];
}

/** Of the header `retry-after`, in s: else it is for a moment only, until the store was asked again. */
const USED_UP = 60;

/** Asks in turn until the quota is used up. How many were let in: of a busy store one may be lost, so it can be fewer than there are. */
async function untilUsedUp(asks: readonly Ask[]): Promise<number> {
  let [admitted, turn] = [0, 0];
  await until('the quota to be used up', async () => {
    const { status, headers, body } = (await asks[turn++ % asks.length]?.()) ?? assert.fail('nobody asks');
    assert.ok(status === 200 || status === 429, body);
    if (status === 200) admitted++;
    return Number(headers['retry-after'] ?? 0) > USED_UP;
  });
  return admitted;
}

const RESULTS = 'tulle_rate_limit_requests_total';

/** How many requests a data plane judged to be within the limits; each limit counts each. */
const admittedBy = ({ ready }: Tulle): Promise<number> =>
  metric(ready.admin ?? '', RESULTS, { result: 'admitted' });

test(
  'a request through the gateway and a sidecar is counted once, and by ip the gateway is one client',
  LIMIT,
  async (context) => {
    const mesh = await edgeMesh(context, '99/d; 9/d by ip');
    await mesh.meshed();
    const clients = [2, 3, 4, 5].flatMap((last) => clientAt(context, mesh.gateway, `127.0.0.${last}`));
    const admitted = await untilUsedUp(clients);
    assert.ok(admitted > 0 && admitted <= 9, String(admitted));
    assert.equal(await metric(mesh.gateway.ready.admin ?? '', RESULTS), 0);
    assert.equal(await admittedBy(mesh.sidecar), 2 * admitted);
  },
);

test(
  'a service without sidecars is limited by the gateway, until it has one: nobody is counted twice then',
  LIMIT,
  async (context) => {
    const mesh = await edgeMesh(context, '20/d; 4/d by ip');
    await mesh.without();
    let before = 0;
    for (const from of ['127.0.0.2', '127.0.0.3']) {
      const admitted = await untilUsedUp(clientAt(context, mesh.gateway, from));
      assert.ok(admitted > 0 && admitted <= 4, `${admitted} of ${from}`);
      before += admitted;
    }
    assert.equal(await admittedBy(mesh.gateway), 2 * before);
    mesh.limit('20/d; 99/d by ip');
    await mesh.meshed();
    const after = await untilUsedUp(clientAt(context, mesh.gateway, '127.0.0.2'));
    assert.ok(after > 0 && before + after <= 20, `${before} and ${after}`);
    assert.equal(await admittedBy(mesh.gateway), 2 * before, 'no more than before');
    assert.equal(await admittedBy(mesh.sidecar), 2 * after);
  },
);

test(
  'the gateway, each workload that calls, and strangers have quotas of their own by client and path',
  LIMIT,
  async (context) => {
    const mesh = await edgeMesh(context, '9/d by client,path exact');
    await mesh.meshed();
    const { gateway = '' } = mesh.gateway.ready;
    const { inbound = '' } = mesh.sidecar.ready;
    const callers = [gateway, await mesh.caller('web'), await mesh.caller('cart'), inbound];
    let all = 0;
    for (const path of ['/a', '/b'])
      for (const address of callers) {
        const admitted = await untilUsedUp([() => askHttp1(address, path, { host: 'orders.shop' })]);
        assert.ok(admitted > 0 && admitted <= 9, `${admitted} of ${path} by ${address}`);
        all += admitted;
      }
    assert.equal(await admittedBy(mesh.sidecar), all);
  },
);
