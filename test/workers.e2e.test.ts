import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Pool } from 'undici';
import { type RawClient, rawClient } from './fixture/client.ts';
import { readPrometheusText } from './fixture/prometheus-text.ts';
import { appMesh, temporaryDir, writeMesh } from './fixture/relay.ts';
import { application, startSmallMeshWith } from './fixture/small-mesh.ts';
import { steadyLoad } from './fixture/steady-load.ts';
import { startTulle, type Tulle } from './fixture/tulle.ts';
import { until } from './fixture/wait.ts';
import { leftovers } from './leftovers.ts';

/** In the environment of all that one test starts. */
const MARK = 'TULLE_WORKERS_TEST';
/** The kernel spreads connections by a hash: that all of so many meet one of two is a chance of 1 in 2^39. */
const MANY = 40;

interface Shared extends Omit<Tulle, 'ready'> {
  readonly outbound: string;
  readonly admin: string;
  /** Of the workers, without the supervisor. */
  workers(): number[];
  /** All processes that there are of it. */
  processes(): number[];
  page(path: string): Promise<string>;
  metric(name: string): Promise<number>;
  readiness(): Promise<{ ready: boolean; reasons: string[]; degraded: string[] }>;
}

async function startShared(context: TestContext, mesh: object, ...flags: readonly string[]): Promise<Shared> {
  const meshFile = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(meshFile, mesh);
  const mark = randomUUID();
  process.env[MARK] = mark;
  const ports = ['--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--namespace', 't'];
  const args = ['sidecar', '--standalone', meshFile, ...ports, '--workers', '2', ...flags];
  const tulle = await startTulle(context, ...args);
  const { outbound = '', admin = '' } = tulle.ready;
  const page = async (path: string) => (await fetch(`http://${admin}${path}`)).text();
  const processes = () => leftovers(mark, MARK).map(({ pid }) => pid);
  return {
    child: tulle.child,
    end: tulle.end,
    get log() {
      return tulle.log;
    },
    outbound,
    admin,
    page,
    processes,
    workers: () => processes().filter((pid) => pid !== tulle.child.pid),
    async metric(name) {
      const samples = readPrometheusText(await page('/metrics')).get(name)?.samples ?? [];
      return samples.reduce((sum, { value }) => sum + value, 0);
    },
    readiness: async () => JSON.parse(await page('/readyz')),
  };
}

interface HoldingApplication {
  readonly address: string;
  /** Responses to requests for /held. */
  readonly held: ServerResponse[];
  /** Connections now, and the most that there were at once. */
  readonly open: number;
  readonly most: number;
}

/** An application that answers at once, but requests for /held when the test does. */
async function holdingApplication(context: TestContext): Promise<HoldingApplication> {
  const held: ServerResponse[] = [];
  let [open, most] = [0, 0];
  const server = createServer((request, response) => {
    if (request.url === '/held') held.push(response);
    else response.end('hello');
  });
  server.on('connection', (socket) => {
    most = Math.max(most, ++open);
    socket.on('close', () => open--);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo; // it listens by TCP
  return {
    address: `127.0.0.1:${port}`,
    held,
    get open() {
      return open;
    },
    get most() {
      return most;
    },
  };
}

/** Many kept connections, each with one request answered. */
async function manyClients(context: TestContext, address: string): Promise<RawClient[]> {
  const clients = await Promise.all(
    Array.from({ length: MANY }, async () => {
      const client = await rawClient(address);
      context.after(() => client.close());
      return client;
    }),
  );
  await Promise.all(clients.map((client, index) => ask(client, `first-${index}`)));
  return clients;
}

/** Sends one request, and waits for its answer to come whole. */
async function ask(client: RawClient, id: string): Promise<void> {
  client.send(`GET / HTTP/1.1\r\nHost: app\r\nX-Request-Id: ${id}\r\n\r\n`);
  await client.expect('\r\n\r\nhello', client.text.length);
}

test('both workers get connections, and the admin port shows one data plane', async (context) => {
  const shared = await startShared(context, appMesh([await application(context, 'hello')]));
  assert.equal(shared.workers().length, 2);
  await manyClients(context, shared.outbound);
  assert.equal(await shared.metric('istio_requests_total'), MANY);
  assert.equal(await shared.metric('tulle_connections_active'), MANY);
  assert.equal(await shared.metric('tulle_workers_answering'), 2);
  const byWorker = readPrometheusText(await shared.page('/metrics')).get('tulle_worker_connections_active');
  assert.ok(byWorker?.samples.every(({ value }) => value > 0 && value < MANY));
  for (let i = 0; i < MANY; i++) {
    const { id, status } = JSON.parse(await shared.page(`/explain/first-${i}`));
    assert.deepEqual([id, status], [`first-${i}`, 200]);
  }
  assert.match(await shared.page(`/explain/${'x'.repeat(10_000)}`), /remembers no request of that id/);
  const recent = JSON.parse(await shared.page('/explain')) as { id: string }[];
  assert.equal(new Set(recent.map(({ id }) => id)).size, MANY);
  const config = JSON.parse(await shared.page('/config'));
  assert.equal(config.workers, 2);
  assert.equal(config.services[0].key, 't/app');
  assert.deepEqual(await shared.readiness(), { ready: true, reasons: [], degraded: [] });
});

test('kill -9 of a worker: its own connections end, the others never notice, and it is started again', async (context) => {
  const shared = await startShared(context, appMesh([await application(context, 'hello')]));
  const clients = await manyClients(context, shared.outbound);
  assert.equal(await shared.metric('istio_requests_total'), MANY);
  const before = shared.workers();
  process.kill(before[0] ?? 0, 'SIGKILL');
  await until('the end of the connections of one worker', () => clients.some(({ ended }) => ended));
  await until('another worker in its place', async () => {
    return (
      (await shared.metric('tulle_worker_restarts_total')) === 1 &&
      (await shared.readiness()).degraded.length === 0
    );
  });
  const left = clients.filter(({ ended }) => !ended);
  assert.ok(left.length > 0 && left.length < MANY, `${left.length} of ${MANY} are left`);
  await Promise.all(left.map((client, index) => ask(client, `second-${index}`)));
  assert.equal(await shared.metric('istio_requests_total'), MANY + left.length, 'no count is lost');
  const after = shared.workers();
  assert.equal(after.length, 2);
  assert.equal(after.filter((pid) => before.includes(pid)).length, 1);
  assert.match(shared.log, /"reason":"worker \d ended \(SIGKILL\)"/);
  const load = steadyLoad(shared.outbound, 'app');
  await until('load on both', () => load.succeeded > 200);
  await load.stop();
  assert.deepEqual(load.failures, []);
});

test('a worker that hangs: the admin port answers all the same, not ready, and names it', async (context) => {
  const shared = await startShared(context, appMesh([await application(context, 'hello')]));
  const [hanging = 0] = shared.workers();
  process.kill(hanging, 'SIGSTOP');
  context.after(() => {
    if (shared.workers().includes(hanging)) process.kill(hanging, 'SIGCONT');
  });
  const { ready, reasons } = await shared.readiness();
  assert.equal(ready, false);
  assert.match(reasons.join(), /^worker [12]: does not answer$/);
  assert.equal(await shared.metric('tulle_workers_answering'), 1);
  assert.equal(await shared.metric('tulle_ready'), 0);
  const asked = await Promise.all(Array.from({ length: 200 }, () => shared.readiness()));
  assert.ok(
    asked.every((state) => !state.ready),
    'however often it is asked',
  );
  process.kill(hanging, 'SIGCONT');
  await until('both to answer', async () => (await shared.readiness()).ready);
});

const STOPS: readonly [how: string, stop: (shared: Shared) => unknown][] = [
  ['SIGTERM', ({ child }) => child.kill('SIGTERM')],
  ['POST /drain', ({ admin }) => fetch(`http://${admin}/drain`, { method: 'POST' })],
];

for (const [how, stop] of STOPS) {
  test(`${how} drains all workers: what is in flight is answered, and no process is left`, async (context) => {
    const { address, held } = await holdingApplication(context);
    const shared = await startShared(context, appMesh([address]));
    const clients = await manyClients(context, shared.outbound);
    for (const client of clients) client.send('GET /held HTTP/1.1\r\nHost: app\r\n\r\n');
    await until('all requests at the application', () => held.length === MANY);
    const from = clients.map(({ text }) => text.length);
    await stop(shared);
    await until('no new connections', async () => {
      const state = await shared.readiness();
      return state.reasons.includes('draining: no new connections are taken');
    });
    for (const response of held) response.end('done');
    await Promise.all(clients.map((client, index) => client.expect('\r\n\r\ndone', from[index])));
    await until('the end of all processes', () => shared.processes().length === 0);
    await until('its exit code', () => shared.child.exitCode !== null);
    assert.equal(shared.child.exitCode, 0, shared.log);
  });
}

test('kill -9 of the supervisor: workers drain and end by themselves', async (context) => {
  const shared = await startShared(context, appMesh([await application(context, 'hello')]));
  const clients = await manyClients(context, shared.outbound);
  await shared.end('SIGKILL');
  await until('the end of all processes', () => shared.processes().length === 0);
  await Promise.all(clients.map((client) => client.untilEnd()));
});

test('a limit holds for all workers together', async (context) => {
  const app = await holdingApplication(context);
  const limits = { 'tulle.dev/limits': 'connections 4' };
  const shared = await startShared(context, appMesh([app.address], limits));
  const pool = new Pool(`http://${shared.outbound}`, { connections: MANY, pipelining: 1 });
  context.after(() => pool.destroy());
  const answers = Array.from({ length: MANY }, () =>
    pool.request({ method: 'GET', path: '/held', headers: { host: 'app' } }),
  );
  await until('as many connections as are allowed', () => app.open === 4);
  let answered = 0;
  await until('all answers', () => {
    for (const response of app.held.splice(0)) {
      response.end('hello');
      answered++;
    }
    return answered === MANY;
  });
  for (const answer of answers) {
    const { statusCode, body } = await answer;
    await body.dump();
    assert.equal(statusCode, 200);
  }
  assert.equal(app.most, 4);
});

test('one worker is no process besides, and has no supervisor', async (context) => {
  const shared = await startShared(context, appMesh([]), '--workers', '1');
  assert.deepEqual(shared.processes(), [shared.child.pid]);
  assert.doesNotMatch(await shared.page('/metrics'), /tulle_workers/);
});

test('what no worker can start on is told once, in its words', async (context) => {
  const meshFile = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(meshFile, { services: 'none' });
  const ports = ['--outbound', '127.0.0.1:0', '--workers', '3'];
  const mark = randomUUID();
  process.env[MARK] = mark;
  await assert.rejects(
    startTulle(context, 'sidecar', '--standalone', meshFile, ...ports),
    ({ message }: Error) => {
      assert.match(message, /^tulle sidecar ended with 1: /);
      assert.equal(message.split('cannot be used').length, 2, message);
      return true;
    },
  );
  await until('the end of all processes', () => leftovers(mark, MARK).length === 0);
});

test('an address in use is refused before any worker starts', async (context) => {
  const first = await startShared(context, appMesh([]));
  const second = startShared(context, appMesh([]), '--outbound', first.outbound);
  await assert.rejects(second, new RegExp(`cannot listen on ${first.outbound}: EADDRINUSE`));
});

test('TULLE_WORKER in the environment of a sidecar that nobody supervises is refused', async (context) => {
  process.env.TULLE_WORKER = '1/2';
  context.after(() => delete process.env.TULLE_WORKER);
  await assert.rejects(startShared(context, appMesh([]), '--workers', '1'), /take it out of the environment/);
});

test('a mesh of two workers each: one certificate for both, rotated under load, and no request fails', async (context) => {
  const mesh = await startSmallMeshWith(context, ['--leaf-life', '5s'], ['--workers', '2']);
  const load = steadyLoad(mesh.web.ready.outbound ?? '', 'orders');
  for (const { ready } of [mesh.web, mesh.orders]) {
    const serials = new Set<string>();
    await until('new certificates, of all workers the same', async () => {
      const certs = await (await fetch(`http://${ready.admin}/certs`)).json();
      const { chain, note } = certs as { chain: { serial: string }[]; note?: string };
      if (note === undefined) serials.add(chain[0]?.serial ?? '');
      return serials.size > 2;
    });
  }
  const before = load.succeeded;
  await until('load with the new certificates', () => load.succeeded > before + 200);
  await load.stop();
  assert.deepEqual(load.failures, []);
});
