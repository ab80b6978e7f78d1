import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { KubeConfig, type V1Lease } from '@kubernetes/client-node';
import { interruptibleProxy } from '../test/fixture/interruptible-proxy.ts';
import { until } from '../test/fixture/wait.ts';
import { openApiServer } from './kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from './kubernetes/fake-api-server.fixture.ts';
import { electLeader, type Leader } from './leader.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/tulle-system/leases/control-plane';
const log = { debug() {}, info() {}, warn() {}, error() {} };

interface Candidates {
  readonly fake: FakeApiServer;
  /** `start a`, `stop a`: what became of the work. */
  readonly events: string[];
  /** A candidate; `kubeConfig` leads it to the API server by another way. */
  add(identity: string, kubeConfig?: KubeConfig, leaseMs?: number): Leader;
  lease(): V1Lease['spec'];
}

async function candidates(context: TestContext): Promise<Candidates> {
  const fake = await fakeApiServer(context);
  const events: string[] = [];
  return {
    fake,
    events,
    add(identity, kubeConfig = fake.kubeConfig, leaseMs = 500) {
      const api = openApiServer(kubeConfig);
      const options = { api, namespace: 'tulle-system', identity, log, leaseMs };
      const leader = electLeader(options, [
        () => {
          events.push(`start ${identity}`);
          return () => void events.push(`stop ${identity}`);
        },
      ]);
      context.after(async () => {
        await leader.close();
        api.close();
      });
      return leader;
    },
    lease: () => fake.objects.get(PATH)?.spec as V1Lease['spec'],
  };
}

const held = (holderIdentity: string, renewTime: string) => ({
  metadata: { name: 'control-plane', namespace: 'tulle-system' },
  spec: { holderIdentity, leaseDurationSeconds: 1, renewTime, acquireTime: renewTime, leaseTransitions: 4 },
});

test('of several that start at once one leads, and goes on; its work starts once', async (context) => {
  const { fake, events, add, lease } = await candidates(context);
  // On a busy machine a short Lease would be lost for want of time.
  const leaders = ['a', 'b', 'c'].map((identity) => add(identity, fake.kubeConfig, 5000));
  await until('a leader', () => leaders.some((leader) => leader.leads()));
  const { length } = fake.calls;
  await until('more rounds', () => fake.calls.length > length + 15);
  assert.equal(events.length, 1, events.join());
  assert.equal(leaders.filter((leader) => leader.leads()).length, 1);
  assert.equal(events[0], `start ${lease()?.holderIdentity}`);
  assert.equal(lease()?.leaseTransitions, 0, 'renewals are no transitions');
});

test('a leader that is cut off stops its work before another one starts', async (context) => {
  const { fake, events, add } = await candidates(context);
  const { hostname, port } = new URL(fake.kubeConfig.getCurrentCluster()?.server ?? '');
  const proxy = await interruptibleProxy(context, hostname, Number(port));
  const behind = new KubeConfig();
  behind.loadFromClusterAndUser(
    { name: 'p', server: `http://${proxy.address}`, skipTLSVerify: true },
    { name: 'p' },
  );
  const a = add('a', behind);
  await until('a leads', () => a.leads());
  const b = add('b');
  proxy.interrupt();
  await until('b leads', () => b.leads());
  assert.deepEqual(events, ['start a', 'stop a', 'start b']);
  assert.equal(a.leads(), false);
  proxy.resume();
  await until('a knows', () => a.holder() === 'b');
  assert.deepEqual(events, ['start a', 'stop a', 'start b']);
});

test('clocks of others are not believed: a record of long ago is waited for, as one of the future is', async (context) => {
  for (const renewTime of ['2000-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z']) {
    const { fake, add, lease } = await candidates(context);
    fake.put(PATH, held('gone', renewTime));
    const leader = add('a');
    await until('the lease', () => leader.leads());
    const asked = fake.calls.findIndex(({ method }) => method === 'PUT');
    assert.ok(asked > 5, `it took it after ${asked} looks`);
    assert.equal(lease()?.leaseTransitions, 5);
  }
});

test('who renews is the leader, however wrong its clock', async (context) => {
  const { fake, events, add } = await candidates(context);
  const renew = () => fake.put(PATH, held('other', '2000-01-01T00:00:00.000000Z'));
  renew();
  const leader = add('a');
  await until('thirty looks', () => {
    renew();
    return fake.calls.length >= 30;
  });
  assert.ok(fake.calls.every(({ method }) => method === 'GET'));
  assert.deepEqual([leader.leads(), leader.holder(), events], [false, 'other', []]);
});

test('who loses the race for a free lease does not lead', async (context) => {
  const { fake, events, add } = await candidates(context);
  fake.put(PATH, held('', '2000-01-01T00:00:00.000000Z'));
  fake.intercept = ({ method }) => (method === 'PUT' ? { status: 409 } : undefined);
  const leader = add('a');
  await until('some tries', () => fake.calls.filter(({ method }) => method === 'PUT').length > 3);
  assert.deepEqual([leader.leads(), events], [false, []]);
});

test('close() stops the work and gives the lease back, which another one has at its next look', async (context) => {
  const { fake, events, add, lease } = await candidates(context);
  const a = add('a');
  await until('a leads', () => a.leads());
  await a.close();
  assert.deepEqual(events, ['start a', 'stop a']);
  assert.equal(lease()?.holderIdentity, '');
  assert.equal(a.leads(), false);
  const { length } = fake.calls;
  const b = add('b');
  await until('b leads', () => b.leads());
  assert.equal(fake.calls.length, length + 2, 'a look and a write');
});

test('a leader that closes while the API server is away stops its work all the same', async (context) => {
  const { fake, events, add } = await candidates(context);
  const a = add('a');
  await until('a leads', () => a.leads());
  fake.intercept = () => ({ status: 500 });
  await a.close();
  assert.deepEqual(events, ['start a', 'stop a']);
});
