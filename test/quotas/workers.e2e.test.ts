import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { admissionsAt, bucket, excess, window } from '../fixture/admissions.ts';
import { letIn, limitedMesh } from '../fixture/limited-mesh.ts';
import { application } from '../fixture/small-mesh.ts';
import { askHttp1, edgeMesh, type TwoWays, twoWays } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { startHttp1 } from '../http2/server.ts';

const LIMIT = { timeout: 120_000 };
const WORKERS = ['--workers', '2'];
/** The kernel spreads connections by a hash: that one of two workers gets fewer than 5 of so many has a chance below 10^-14. */
const MANY = 80;

/** A gateway of two workers, alone on a mesh file, before a service `sN.t` for each limit. */
async function alone(context: TestContext, app: string, limits: readonly string[]): Promise<TwoWays> {
  const services = Object.fromEntries(
    limits.map((limit, index) => [
      `s${index}`,
      { protocol: 'http', endpoints: [app], annotations: { 'tulle.dev/rate-limit': limit } },
    ]),
  );
  const routes = Object.keys(services).map((name) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 't' },
    spec: {
      parentRefs: [{ kind: 'Gateway', name: 'edge' }],
      hostnames: [`${name}.t`],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  }));
  return twoWays(context, edgeMesh(services, { routes }), ...WORKERS);
}

/** The status of one request on a connection of its own. */
const statusOf = async (gateway: string, host: string) => (await askHttp1(gateway, '/', { host })).status;

const gatewayOf = ({ ways }: TwoWays) => ways.find(({ name }) => name === 'HTTP/1.1 gateway')?.address ?? '';

test('alone on a mesh file, both workers together let in the quota, and no more', LIMIT, async (context) => {
  const limits = [
    '10/d',
    '5/d burst 9',
    'window 10/d',
    'estimate 7/d',
    'window 200/d by ip; 10/d',
    '10/d exact',
  ];
  const most = [10, 9, 10, 7, 10, 10];
  const gateway = gatewayOf(await alone(context, await application(context, 'app'), limits));
  for (const [index, limit] of limits.entries()) {
    const statuses: number[] = [];
    for (let asked = 0; asked < MANY; asked++) statuses.push(await statusOf(gateway, `s${index}.t`));
    assert.equal(statuses.filter((status) => status === 200).length, most[index], limit);
    assert.equal(statuses.filter((status) => status === 429).length, MANY - (most[index] ?? 0), limit);
  }
});

test(
  'alone on a mesh file, requests at once are no more than the limit at both workers together',
  LIMIT,
  async (context) => {
    const held: (() => void)[] = [];
    const { address } = await startHttp1(
      context,
      (_request, response) => void held.push(() => response.end()),
    );
    const gateway = gatewayOf(await alone(context, address, ['concurrent 5']));
    for (let round = 0; round < 2; round++) {
      const statuses: number[] = [];
      const all = Array.from({ length: MANY }, async () => {
        statuses.push(await statusOf(gateway, 's0.t'));
      });
      await until('all others to be refused', () => held.length + statuses.length === MANY);
      assert.equal(held.length, 5);
      for (const answer of held.splice(0)) answer();
      await Promise.all(all);
      assert.equal(statuses.filter((status) => status === 429).length, MANY - 5);
    }
  },
);

test(
  'with a control plane, workers draw on one quota: of each kind all together let in no more',
  LIMIT,
  async (context) => {
    const mesh = await limitedMesh(context, '80/s burst 20', 1, { sidecarFlags: WORKERS });
    const [address = ''] = mesh.addresses;
    const kinds: readonly (readonly [limit: string, told: string, most: (ms: number) => number])[] = [
      ['80/s burst 20', '"tokens": 80', bucket(80, 20)],
      ['60/s burst 10 exact', '"tokens": 60', bucket(60, 10)],
      ['window 40/s', '"tokens": 40', window(40, 1000)],
    ];
    for (const [limit, told, most] of kinds) {
      mesh.limit(limit);
      await mesh.told(told);
      await letIn(address);
      const load = admissionsAt(context, [address], 12);
      await until(`refusals by ${limit}`, () => load.refused > 50);
      await until(`some by ${limit}`, () => load.all.length > 90);
      await load.stop();
      assert.deepEqual(load.others, [], limit);
      const over = excess(load.all, most);
      assert.ok(over <= 0, `${over} more than ${limit}`);
    }
  },
);
