import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { VERSION } from '../../protocol/version.ts';
import { until } from '../fixture/wait.ts';
import { askFrom, askTogetherFrom, podOf } from './ask-from.ts';
import { installMesh } from './installed-mesh.ts';
import {
  apply,
  clusterIps,
  kubectl,
  leaveNamespace,
  logs,
  makeNamespace,
  pods,
  rolledOut,
  uniqueName,
} from './kubectl.ts';
import { countedBy } from './proxy-metrics.ts';
import { deployment, service } from './workloads.ts';

const SHOP = uniqueName('tulle-annotations');
const caller = 'deployment/caller';
/** Label of two workloads behind one Service. */
const MIXED = { group: 'mixed' };
/** The image of all proxies by a longer name. */
const OTHER_NAME = `docker.io/library/tulle:${VERSION}`;

/** Each workload shows what one or two annotations do; callers are workloads too, so that there are fewer pods. */
const WORKLOADS = {
  caller: {
    podAnnotations: {
      'tulle.dev/access-log': 'on',
      'tulle.dev/proxy-cpu-request': '30m',
      'tulle.dev/proxy-cpu-limit': '1500m',
      'tulle.dev/proxy-memory-request': '80Mi',
      'tulle.dev/proxy-memory-limit': '256Mi',
    },
  },
  stranger: {
    podAnnotations: {
      'tulle.dev/native-sidecar': 'disabled',
      'tulle.dev/proxy-log-level': 'error',
      'tulle.dev/opaque-ports': '8080',
    },
  },
  strict: {},
  guarded: { podAnnotations: { 'tulle.dev/proxy-log-level': 'loud' } },
  slow: { args: ['--slow=1000'], podAnnotations: { 'tulle.dev/proxy-image': OTHER_NAME } },
  flaky: { args: ['--fail=0.5'] },
  sound: { podLabels: MIXED, podAnnotations: { 'tulle.dev/proxy-workers': '2' } },
  broken: { args: ['--fail=1'], podLabels: MIXED },
  lenient: {},
  pair: { replicas: 2 },
  open: {
    podAnnotations: { 'tulle.dev/skip-inbound-ports': '8080', 'tulle.dev/skip-outbound-ports': '8080' },
  },
  raw: { podAnnotations: { 'tulle.dev/skip-outbound-cidrs': '10.0.0.0/8, fd00::/8' } },
};

before(async () => {
  await installMesh();
  await makeNamespace(SHOP, { 'tulle.dev/inject': 'enabled' });
  await apply([
    ...Object.entries(WORKLOADS).flatMap(([name, wishes]) => deployment(SHOP, name, wishes)),
    service(SHOP, 'strict', { 'tulle.dev/mtls': 'strict' }),
    service(SHOP, 'guarded', { 'tulle.dev/allow': 'caller', 'tulle.dev/timeout': '2minutes' }),
    service(SHOP, 'late', { 'tulle.dev/timeout': '300ms' }, { app: 'slow' }),
    service(SHOP, 'narrow', { 'tulle.dev/limits': 'connections 1, pending 1, requests 1' }, { app: 'slow' }),
    service(
      SHOP,
      'patient',
      { 'tulle.dev/retries': '10 on 503', 'tulle.dev/retry-budget': '100% + 100/s' },
      { app: 'flaky' },
    ),
    service(SHOP, 'impatient', {}, { app: 'flaky' }),
    service(
      SHOP,
      'sparing',
      { 'tulle.dev/retries': '10 on 503', 'tulle.dev/retry-budget': '0%' },
      { app: 'flaky' },
    ),
    service(SHOP, 'tried', { 'tulle.dev/try-timeout': '300ms' }, { app: 'slow' }),
    service(
      SHOP,
      'checked',
      { 'tulle.dev/health-check': 'http / every 1s', 'tulle.dev/balance': 'least-request' },
      { selector: MIXED },
    ),
    service(SHOP, 'broken-or-sound', { 'tulle.dev/balance': 'round-robin' }, { selector: MIXED }),
    service(SHOP, 'lenient', { 'tulle.dev/mtls': 'permissive' }),
    service(SHOP, 'in-turn', { 'tulle.dev/balance': 'round-robin' }, { app: 'pair' }),
    service(SHOP, 'open', { 'tulle.dev/mtls': 'strict' }),
    // A port that is named http is HTTP.
    service(SHOP, 'mute', {}, { app: 'stranger', ports: [{ port: 8080 }] }),
    service(SHOP, 'raw', { 'tulle.dev/opaque-ports': '8080' }, { ports: [{ port: 8080 }] }),
  ]);
  await rolledOut(SHOP, ...Object.keys(WORKLOADS).map((name) => `deployment/${name}`));
});
after(() => leaveNamespace(SHOP));

test('mtls strict: callers of the mesh are served, plain ones refused, and the kubelet is answered', async () => {
  const [answer] = await askFrom(SHOP, caller, [url('strict')]);
  assert.equal(answer?.status, 200);
  assert.deepEqual(await askedPlainly('strict'), { status: 403, reason: 'mtls-required' });
  const [pod] = await pods(SHOP, 'app=strict');
  const states = pod?.status.containerStatuses?.map(({ ready }) => ready);
  assert.deepEqual(states, [true], 'its probe succeeds');
});

test('allow: who is named is served, others are told why not; an edit holds at once', async () => {
  const may = async (pod: string): Promise<string> => {
    const [answer] = await askFrom(SHOP, pod, [url('guarded')]);
    return `${answer?.status} ${answer?.reason}`;
  };
  assert.equal(await may(caller), '200 ');
  assert.equal(await may('deployment/stranger'), '403 not-allowed');
  assert.deepEqual(await askedPlainly('guarded'), { status: 403, reason: 'not-allowed' });
  await kubectl('-n', SHOP, 'annotate', 'service', 'guarded', '--overwrite', 'tulle.dev/allow=stranger');
  await until('the edit to hold', async () => (await may('deployment/stranger')) === '200 ');
  assert.equal(await may(caller), '403 not-allowed');
});

test('try-timeout: an attempt ends, and says so', async () => {
  const [tried] = await askFrom(SHOP, caller, [url('tried')]);
  assert.deepEqual([tried?.status, tried?.reason], [504, 'try-timeout']);
});

test('timeout, and limits on one service that is slow', async () => {
  const [late] = await askFrom(SHOP, caller, [url('late')]);
  assert.deepEqual([late?.status, late?.reason], [504, 'request-timeout']);
  const together = await askTogetherFrom(SHOP, caller, times(4, url('narrow')));
  const told = together.map(({ status, reason }) => `${status} ${reason}`);
  assert.ok(told.includes('200 ') && told.includes('503 pool-full'), told.join(', '));
});

test('retries: what fails half of the time does not fail', async () => {
  const answers = await askFrom(SHOP, caller, [...times(20, url('patient')), ...times(20, url('impatient'))]);
  const [patient, impatient] = [answers.slice(0, 20), answers.slice(20)];
  assert.deepEqual(new Set(patient.map(({ status }) => status)), new Set([200]));
  assert.ok(impatient.some(({ status }) => status === 503));
});

test('retry-budget: without one there are no retries', async () => {
  const answers = await askFrom(SHOP, caller, times(20, url('sparing')));
  assert.ok(answers.some(({ status }) => status === 503));
});

test('health-check: who fails it gets no requests', async () => {
  const statuses = async (): Promise<number[]> =>
    (await askFrom(SHOP, caller, times(20, url('checked')))).map(({ status }) => status);
  await until('the check to tell', async () => (await statuses()).every((status) => status === 200));
  const plain = await askFrom(SHOP, caller, times(20, url('broken-or-sound')));
  assert.ok(
    plain.some(({ status }) => status === 503),
    'both are asked where nobody checks',
  );
});

test('balance: round-robin is one after the other', async () => {
  const names = (await askFrom(SHOP, caller, times(10, url('in-turn')))).map(podOf);
  assert.equal(new Set(names).size, 2);
  assert.deepEqual(new Set(names.filter((_name, index) => index % 2 === 0)).size, 1, names.join(' '));
});

test('skip-inbound-ports: the port is as without a mesh, whatever its service says', async () => {
  assert.deepEqual(await askedPlainly('open'), { status: 200, reason: '' });
  const [answer] = await askFrom(SHOP, caller, [url('open')]);
  assert.equal(answer?.status, 200);
});

test('skip-outbound-ports and skip-outbound-cidrs: calls go past the proxy, as plain text', async () => {
  for (const pod of ['deployment/open', 'deployment/raw']) {
    const [answer] = await askFrom(SHOP, pod, [url('strict')]);
    assert.deepEqual([answer?.status, answer?.reason], [403, 'mtls-required'], pod);
  }
});

test('opaque-ports: requests are carried as a stream that nobody reads', async () => {
  const [answer] = await askFrom(SHOP, caller, [url('raw')]);
  assert.equal(answer?.status, 200);
  const [pod] = await pods(SHOP, 'app=raw');
  const name = pod?.metadata.name ?? '';
  const byCaller = { source_workload: 'caller', connection_security_policy: 'mutual_tls' };
  assert.equal(await countedBy(SHOP, name, 'istio_tcp_connections_opened_total', byCaller), 1);
  assert.equal(await countedBy(SHOP, name, 'istio_requests_total', byCaller), 0);
});

test('opaque-ports of a pod: the same, whatever its service says, for callers outside of the mesh too', async () => {
  assert.deepEqual(await askedPlainly('mute'), { status: 200, reason: '' });
  const [pod] = await pods(SHOP, 'app=stranger');
  const name = pod?.metadata.name ?? '';
  const here = { reporter: 'destination', destination_service_name: 'mute' };
  assert.ok((await countedBy(SHOP, name, 'istio_tcp_connections_opened_total', here)) > 0);
  assert.equal(await countedBy(SHOP, name, 'istio_requests_total', here), 0);
});

test('access-log and proxy-log-level: a line a request, and no line that is no error', async () => {
  await askFrom(SHOP, caller, [url('strict')], { 'x-request-id': 'told' });
  await askFrom(SHOP, 'deployment/stranger', [url('strict')], { 'x-request-id': 'untold' });
  await until('the line of the request', async () =>
    (await logs(SHOP, caller, 'tulle-proxy')).split('\n').some((line) => line.includes('"told"')),
  );
  assert.doesNotMatch(await logs(SHOP, 'deployment/stranger', 'tulle-proxy'), /"level":|untold/);
});

test('requests and limits of CPU and memory are what the kubelet gives the proxy', async () => {
  const [pod] = await pods(SHOP, 'app=caller');
  const proxy = pod?.status.initContainerStatuses?.find(({ name }) => name === 'tulle-proxy');
  assert.deepEqual(proxy?.resources, {
    requests: { cpu: '30m', memory: '80Mi' },
    limits: { cpu: '1500m', memory: '256Mi' },
  });
});

test('proxy-image and proxy-workers: another image, and two processes that share the ports', async () => {
  const [slow] = await pods(SHOP, 'app=slow');
  const proxy = slow?.spec.initContainers?.find(({ name }) => name === 'tulle-proxy');
  assert.equal(proxy?.image, OTHER_NAME);
  const [sound] = await pods(SHOP, 'app=sound');
  assert.equal(await countedBy(SHOP, sound?.metadata.name ?? '', 'tulle_workers', {}), 2);
});

test('native-sidecar disabled: the proxy is a plain container, and serves as the other does', async () => {
  const [pod] = await pods(SHOP, 'app=stranger');
  assert.deepEqual(
    pod?.spec.containers.map(({ name }) => name),
    ['tulle-proxy', 'app'],
  );
  const [answer] = await askFrom(SHOP, 'deployment/stranger', [url('strict')]);
  assert.equal(answer?.status, 200);
});

test("a namespace's annotation is the default of its services, not of those with one of their own", async () => {
  assert.deepEqual(await askedPlainly('lenient'), { status: 200, reason: '' });
  assert.equal((await askedPlainly('in-turn')).status, 200);
  await kubectl('annotate', 'namespace', SHOP, 'tulle.dev/mtls=strict');
  await until('the default to hold', async () => (await askedPlainly('in-turn')).reason === 'mtls-required');
  assert.deepEqual(await askedPlainly('lenient'), { status: 200, reason: '' });
  const [answer] = await askFrom(SHOP, caller, [url('in-turn')]);
  assert.equal(answer?.status, 200);
});

function url(name: string): string {
  return `http://${name}:8080/`;
}

function times<T>(count: number, one: T): T[] {
  return Array.from({ length: count }, () => one);
}

/** Asks from this machine, which is not in the mesh. */
async function askedPlainly(name: string): Promise<{ readonly status: number; readonly reason: string }> {
  const [ip] = await clusterIps(SHOP, name);
  const { statusCode, headers, body } = await request(`http://${ip}:8080/`);
  await body.dump();
  return { status: statusCode, reason: String(headers['tulle-reason'] ?? '') };
}
