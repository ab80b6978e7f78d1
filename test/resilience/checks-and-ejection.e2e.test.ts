import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type AilingEndpoint,
  CHECKED_PATH,
  GRPC_CHECK,
  NOT_SERVING,
  SERVING,
} from '../fixture/ailing-endpoints.ts';
import { askUntil, type CircuitMesh, circuitMesh } from '../fixture/circuit-mesh.ts';
import { until } from '../fixture/wait.ts';
import { answerOk, answerStatus, answerWith, rawGrpcServer } from '../grpc/raw-server.ts';
import { startHttp1 } from '../http2/server.ts';

const LIMIT = { timeout: 120_000 };
const CHECKS = { http: `http ${CHECKED_PATH}`, http2: `http ${CHECKED_PATH}`, grpc: 'grpc' } as const;
type Protocol = keyof typeof CHECKS;

/** Tests by HTTP/1.1, HTTP/2 and gRPC side by side: they wait for checks most of the time. */
function testAll(name: string, one: (context: TestContext, protocol: Protocol) => Promise<void>): void {
  const protocols = Object.keys(CHECKS) as Protocol[];
  test(name, LIMIT, async (context) => {
    await Promise.all(protocols.map((protocol) => one(context, protocol)));
  });
}

/** A service whose endpoints are checked each second, and soon ejected. */
function checked(
  context: TestContext,
  protocol: Protocol,
  count: number,
  maxPercent: number,
): Promise<CircuitMesh> {
  return circuitMesh(context, protocol, count, {
    breaker: `failures 3, eject 200ms..400ms, max ${maxPercent}%`,
    annotations: {
      'tulle.dev/health-check': `${CHECKS[protocol]} every 1s`,
      'tulle.dev/balance': 'round-robin, panic 0%',
    },
  });
}

/** Waits until health checks have found this of an endpoint; who is not called is not checked for ever. */
async function known(app: CircuitMesh, endpoint: AilingEndpoint, healthy: boolean): Promise<void> {
  endpoint.unhealthy = !healthy;
  await until(`${endpoint.address} to be ${healthy ? 'healthy' : 'unhealthy'}`, async () => {
    await app.ask();
    return (await app.isHealthy(endpoint)) === healthy;
  });
}

testAll(
  'whom a check has taken out counts to the share that may be ejected, and each clears for itself',
  async (context, protocol) => {
    const app = await checked(context, protocol, 4, 50);
    const [one, two, sick] = app.endpoints as [AilingEndpoint, AilingEndpoint, AilingEndpoint];
    assert.ok((await app.ask()).ok);
    for (const endpoint of [one, two]) await known(app, endpoint, false);
    for (const endpoint of app.endpoints) endpoint.hits = 0;
    sick.sick = true;
    await askUntil('many failures', app, () => sick.hits >= 12);
    assert.equal((await app.circuitOf(sick))?.spared, '2 of 4 are out already (max 50%)', protocol);
    assert.deepEqual([await app.ejected(), one.hits, two.hits], [0, 0, 0], protocol);
    await known(app, one, true);
    await askUntil('the ejection, since there is room', app, async () => (await app.ejected()) === 1);
    assert.deepEqual([await app.isHealthy(sick), await app.isHealthy(two)], [true, false], protocol);
    await known(app, two, true);
    await askUntil('failed probes', app, async () => (await app.ejections('probe')) >= 2);
    assert.equal(await app.ejected(), 1, 'checks that pass end no ejection');
    sick.sick = false;
    await askUntil('its return', app, async () => (await app.ejected()) === 0);
    for (const endpoint of app.endpoints) endpoint.hits = 0;
    await askUntil('requests at all', app, () => app.endpoints.every(({ hits }) => hits > 0));
    assert.ok((await app.ask()).ok);
  },
);

testAll('who is ejected must pass its check before a request is risked on it', async (context, protocol) => {
  const app = await checked(context, protocol, 3, 50);
  const [sick] = app.endpoints as [AilingEndpoint];
  assert.ok((await app.ask()).ok);
  sick.sick = true;
  await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
  await known(app, sick, false);
  sick.sick = false;
  const { hits, checks } = sick;
  // A check a second: longer than it was ejected for.
  const meanwhile = await askUntil('more checks', app, () => sick.checks >= checks + 2);
  assert.deepEqual([sick.hits, await app.ejected()], [hits, 1], protocol);
  assert.ok(
    meanwhile.every(({ ok }) => ok),
    protocol,
  );
  sick.unhealthy = false;
  await askUntil('its return', app, async () => (await app.ejected()) === 0);
  assert.ok(sick.hits >= hits + 3, 'by probes');
});

testAll(
  'the last that checks have left is not ejected, and when they have left none all get requests',
  async (context, protocol) => {
    const app = await checked(context, protocol, 2, 100);
    const [last, other] = app.endpoints as [AilingEndpoint, AilingEndpoint];
    assert.ok((await app.ask()).ok);
    await known(app, other, false);
    last.sick = true;
    other.hits = 0;
    for (let asked = 0; asked < 20; asked++) assert.ok(!(await app.ask()).ok, protocol);
    assert.deepEqual([await app.ejected(), other.hits], [0, 0], protocol);
    assert.equal((await app.circuitOf(last))?.spared, 'it is the last', protocol);
    await known(app, last, false);
    await askUntil('requests at both', app, () => other.hits > 0);
    last.sick = false;
    assert.ok((await app.ask()).ok);
  },
);

testAll(
  'who is back from an ejection, or healthy again, begins with a tenth of its share',
  async (context, protocol) => {
    const app = await circuitMesh(context, protocol, 3, {
      breaker: 'failures 3, eject 200ms..400ms',
      annotations: {
        'tulle.dev/health-check': `${CHECKS[protocol]} every 1s`,
        'tulle.dev/balance': 'random, slow-start 1h',
      },
    });
    const [one, two] = app.endpoints as [AilingEndpoint, AilingEndpoint];
    const hitsOf = async (endpoint: AilingEndpoint): Promise<number> => {
      endpoint.hits = 0;
      for (let asked = 0; asked < 150; asked++) assert.ok((await app.ask()).ok, protocol);
      return endpoint.hits;
    };
    assert.ok((await hitsOf(one)) > 20, 'who was there from the beginning has its whole share');
    one.sick = true;
    await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
    one.sick = false;
    await askUntil('its return', app, async () => (await app.ejected()) === 0);
    // 1 of 21, then 1 of 12: so many more have a chance below 10^-8.
    const back = await hitsOf(one);
    assert.ok(back <= 25, `${protocol}: ${back}`);
    await known(app, two, false);
    await known(app, two, true);
    const healthy = await hitsOf(two);
    assert.ok(healthy <= 40, `${protocol}: ${healthy}`);
  },
);

const UNIMPLEMENTED = 12;

test(
  'a check asks for what it is told to, and no longer; a server that knows no checks is healthy',
  LIMIT,
  async (context) => {
    const asked: string[] = [];
    const grpc = (answer: (name: string) => Buffer | undefined) =>
      rawGrpcServer(context, (stream, { ':path': path = '' }) => {
        if (path !== GRPC_CHECK) return answerOk(stream);
        let sent = '';
        stream.on('data', (bytes: Buffer) => {
          sent += bytes.toString('latin1');
        });
        stream.on('end', () => {
          const name = /[\w.]+$/.exec(sent)?.[0] ?? '';
          asked.push(name);
          const message = answer(name);
          if (message === undefined) answerStatus(stream, UNIMPLEMENTED, 'no such service');
          else answerWith(stream, message);
        });
      });
    const slow = async () =>
      (
        await startHttp1(context, ({ url }, response) => {
          asked.push(url ?? '');
          if (url !== '/slow') response.end();
        })
      ).address;
    const [named, old] = [
      await grpc((name) => (name === 'my.Shop' ? SERVING : NOT_SERVING)),
      await grpc(() => undefined),
    ];
    const hanging = await slow();
    const cases = [
      ['grpc my.Shop every 1s', 'grpc', named, true],
      ['grpc every 1s', 'grpc', old, true],
      ['http /slow every 1s timeout 200ms', 'http', hanging, false],
      ['tcp every 1s', 'http', hanging, true],
    ] as const;
    await Promise.all(
      cases.map(async ([check, protocol, address, healthy]) => {
        const app = await circuitMesh(context, protocol, 0, {
          extra: [address],
          annotations: { 'tulle.dev/health-check': check },
        });
        await until(`${check} to find ${healthy}`, async () => {
          assert.ok((await app.ask()).ok, 'the only one gets requests whatever its health');
          return (
            (await app.isHealthy({ address })) === healthy && (check.startsWith('tcp') || asked.length > 2)
          );
        });
      }),
    );
    assert.ok(asked.includes('my.Shop') && asked.includes('/slow'), String(asked));
  },
);
