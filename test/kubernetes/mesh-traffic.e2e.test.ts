import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, before, type TestContext, test } from 'node:test';
import { request } from 'undici';
import { VERSION } from '../../protocol/version.ts';
import { askFrom, podOf } from './ask-from.ts';
import { capture } from './capture.ts';
import { installMesh } from './installed-mesh.ts';
import {
  apply,
  clusterIps,
  kubectl,
  leaveNamespace,
  type Manifest,
  makeNamespace,
  type Pod,
  pods,
  rolledOut,
  scriptIn,
  uniqueName,
} from './kubectl.ts';
import { TLS_1_3 } from './packets.ts';
import { countedBy } from './proxy-metrics.ts';
import { deployment, podTemplate, service } from './workloads.ts';

const SHOP = uniqueName('tulle-traffic');
/** Of the node, whose network a pod may have. */
const NODE_PORT = 28_080;
const DUAL = { ipFamilyPolicy: 'PreferDualStack' };

before(async () => {
  await installMesh();
  await makeNamespace(SHOP, { 'tulle.dev/inject': 'enabled' });
  await apply([
    ...deployment(SHOP, 'web'),
    ...deployment(SHOP, 'api', { replicas: 2 }),
    service(SHOP, 'api', { 'tulle.dev/balance': 'round-robin' }, DUAL),
    ...ledger(),
    service(SHOP, 'ledger', {}, { clusterIP: 'None' }),
    ...deployment(SHOP, 'on-node', {
      args: [`--port=${NODE_PORT}`],
      pod: { hostNetwork: true },
      container: { ports: [{ containerPort: NODE_PORT }], readinessProbe: undefined },
    }),
    service(SHOP, 'on-node', {}, { ports: [{ port: 80, targetPort: NODE_PORT }] }),
  ]);
  await rolledOut(
    SHOP,
    ...['web', 'api', 'on-node'].map((name) => `deployment/${name}`),
    'statefulset/ledger',
  );
});
after(() => leaveNamespace(SHOP));

/** Pods with names of their own, whose port the kubelet probes by a connection alone. */
function ledger(): Manifest[] {
  const readinessProbe = { tcpSocket: { port: 'http' }, periodSeconds: 1 };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'ledger', namespace: SHOP } },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'ledger', namespace: SHOP },
      spec: {
        replicas: 2,
        serviceName: 'ledger',
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { app: 'ledger' } },
        template: podTemplate('ledger', { container: { readinessProbe } }),
      },
    },
  ];
}

test('between pods of the mesh goes TLS 1.3 and nothing else, whichever address is called', async (context) => {
  const [web, api] = [
    (await pods(SHOP, 'app=web')).flatMap(ipsOf),
    (await pods(SHOP, 'app=api')).flatMap(ipsOf),
  ];
  const recording = await capture(context, `(${anyOf(web)}) and (${anyOf(api)})`);
  const addresses = [...(await clusterIps(SHOP, 'api')), ...api];
  assert.equal(addresses.length, 6);
  const answers = await askFrom(
    SHOP,
    'deployment/web',
    addresses.flatMap((ip) => times(2, urlOf(ip))),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const { segments, chosenVersions, clientHellos, plainHttp } = await recording.stop();
  assert.ok(clientHellos > 0);
  assert.deepEqual(new Set(chosenVersions), new Set([TLS_1_3]));
  assert.deepEqual(plainHttp, []);
  assert.deepEqual(
    segments.filter(({ payload }) => payload.includes('"service":"api"')),
    [],
  );
});

test('who is not in the mesh is served in plain text, since nobody asked for strict', async () => {
  for (const ip of await clusterIps(SHOP, 'api')) assert.equal((await asked(urlOf(ip))).status, 200);
});

test('a pod that calls itself is answered: through its Service, by its own addresses, and by localhost', async () => {
  const [pod] = await pods(SHOP, 'app=api');
  assert.ok(pod !== undefined);
  const { name } = pod.metadata;
  const own = [
    'http://localhost:8080/',
    'http://127.0.0.1:8080/',
    'http://[::1]:8080/',
    ...ipsOf(pod).map((ip) => urlOf(ip)),
  ];
  const answers = await askFrom(SHOP, name, [...own, ...times(20, 'http://api:8080/')]);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.deepEqual(new Set(answers.slice(0, own.length).map(podOf)), new Set([name]));
  assert.equal(new Set(answers.slice(own.length).map(podOf)).size, 2, 'its Service is more than itself');
});

test('a pod of a StatefulSet is called by its name in the headless Service, by mTLS', async () => {
  for (const name of ['ledger-0', 'ledger-1']) {
    const answers = await askFrom(SHOP, 'deployment/web', times(4, `http://${name}.ledger:8080/`));
    assert.deepEqual(answers.map(podOf), times(4, name));
    const byWeb = { source_workload: 'web', connection_security_policy: 'mutual_tls' };
    assert.equal(await countedBy(SHOP, name, 'istio_requests_total', byWeb), 4);
  }
  const both = await askFrom(SHOP, 'deployment/web', times(10, 'http://ledger:8080/'));
  assert.deepEqual(new Set(both.map(({ status }) => status)), new Set([200]));
});

test('a pod in the network of its node is called as without a mesh: by its Service, and by the address of the node', async () => {
  const [pod] = await pods(SHOP, 'app=on-node');
  assert.deepEqual(pod?.spec.initContainers, undefined, 'it has no proxy');
  const [ip = ''] = pod === undefined ? [] : ipsOf(pod);
  const answers = await askFrom(SHOP, 'deployment/web', ['http://on-node/', urlOf(ip, NODE_PORT)]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
});

test('the outside world is called as without a mesh: by name, by address, by ExternalName, and where the server speaks first', async (context) => {
  const port = await greeter(context);
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'beyond', namespace: SHOP },
      spec: { type: 'ExternalName', externalName: 'outside.test' },
    },
  ]);
  const greeted = await scriptIn(
    SHOP,
    'deployment/web',
    'app',
    `
    import { connect } from 'node:net';
    import { lookup } from 'node:dns/promises';
    const addresses = (await lookup('outside.test', { all: true })).map(({ address }) => address);
    for (const host of ['outside.test', 'beyond.${SHOP}.svc.cluster.local', ...addresses]) {
      const socket = connect(${port}, host);
      for await (const part of socket) console.log(String(part));
    }
  `,
  );
  assert.deepEqual(greeted.trim().split('\n'), times(4, 'outside speaks first'));
});

test('DNS goes to the cluster, also by TCP, and the API server is reached', async () => {
  const told = await scriptIn(
    SHOP,
    'deployment/web',
    'app',
    `
    import { connect } from 'node:net';
    import { readFileSync } from 'node:fs';
    import { resolve4 } from 'node:dns/promises';
    import { request } from 'node:https';
    const name = 'api.${SHOP}.svc.cluster.local';
    const labels = name.split('.').map((label) => String.fromCharCode(label.length) + label).join('') + '\\0';
    const query = Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.from(labels), Buffer.from([0, 1, 0, 1])]);
    const [, server] = /^nameserver (\\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'));
    const socket = connect(53, server);
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
    const [answer] = await socket.take(1).toArray();
    socket.destroy();
    const byUdp = await resolve4(name);
    const status = await new Promise((resolve, reject) => {
      request('https://kubernetes.default.svc/livez', { rejectUnauthorized: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject).end();
    });
    console.log(JSON.stringify({ byTcp: [...answer.subarray(-4)].join('.'), byUdp, status }));
    process.exit();
  `,
  );
  const [ip] = await clusterIps(SHOP, 'api');
  const { byTcp, byUdp, status } = JSON.parse(told) as { byTcp: string; byUdp: string[]; status: number };
  assert.deepEqual({ byTcp, byUdp }, { byTcp: ip, byUdp: [ip] });
  assert.ok(status === 200 || status === 401 || status === 403, `the API server said ${status}`);
});

test('a Job and a CronJob complete, also what their init containers call, and one that fails has failed', async () => {
  await apply([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'count', namespace: SHOP } },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'count', namespace: SHOP },
      spec: job('http://api:8080/'),
    },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'astray', namespace: SHOP },
      spec: job('http://api:8080/', 'http://nobody:8080/'),
    },
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'nightly', namespace: SHOP },
      spec: {
        schedule: '0 3 * * *',
        suspend: true,
        jobTemplate: { spec: job('http://ledger-0.ledger:8080/') },
      },
    },
  ]);
  // As the controller makes it at its time.
  await kubectl('-n', SHOP, 'create', 'job', 'nightly-now', '--from=cronjob/nightly');
  const within = '--timeout=90s';
  await Promise.all([
    kubectl('-n', SHOP, 'wait', '--for=condition=complete', 'job/count', 'job/nightly-now', within),
    kubectl('-n', SHOP, 'wait', '--for=condition=failed', 'job/astray', within),
  ]);
});

/** A Job's spec: an init container and a container that each count ten answers. */
function job(early: string, late = early): object {
  const counting = (name: string, url: string): object => ({
    name,
    image: `tulle:${VERSION}`,
    args: ['shop-traffic', url, '--rate=50', '--count=10'],
  });
  return {
    backoffLimit: 0,
    template: {
      metadata: { labels: { app: 'count' } },
      spec: {
        restartPolicy: 'Never',
        serviceAccountName: 'count',
        securityContext: { runAsNonRoot: true, runAsUser: 1000 },
        initContainers: [counting('early', early)],
        containers: [counting('count', late)],
      },
    },
  };
}

function times<T>(count: number, one: T): T[] {
  return Array.from({ length: count }, () => one);
}

function ipsOf({ status }: Pod): string[] {
  return (status.podIPs ?? []).map(({ ip }) => ip);
}

function urlOf(ip: string, port = 8080): string {
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}/`;
}

function anyOf(ips: readonly string[]): string {
  return ips.map((ip) => `host ${ip}`).join(' or ');
}

/** Asks from this machine, which is not in the mesh. */
async function asked(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const { statusCode, body } = await request(url);
  return { status: statusCode, text: await body.text() };
}

/** The port of a server on this machine, outside of the cluster, that speaks first. */
async function greeter(context: TestContext): Promise<number> {
  const server = createServer((socket) => socket.end('outside speaks first'));
  server.listen(0, '::');
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port; // of a server that listens on TCP
}
