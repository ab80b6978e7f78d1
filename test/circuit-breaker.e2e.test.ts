import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { AilingEndpoint } from './fixture/ailing-endpoints.ts';
import { askUntil, circuitMesh } from './fixture/circuit-mesh.ts';
import { freePort } from './fixture/free-port.ts';
import { until } from './fixture/wait.ts';

const LIMIT = { timeout: 180_000 };

for (const [protocol, count] of [
  ['http', 3],
  ['http', 2],
  ['http2', 3],
  ['grpc', 3],
  ['tcp', 3],
] as const) {
  test(
    `${protocol}: one endpoint of ${count} fails: it is ejected, gets probes only, and comes back when it is well`,
    LIMIT,
    async (context) => {
      const app = await circuitMesh(context, protocol, count);
      const [sick, ...others] = app.endpoints as [AilingEndpoint, ...AilingEndpoint[]];
      const well = await Promise.all(Array.from({ length: 5 * count }, () => app.ask()));
      assert.ok(well.every(({ ok }) => ok));
      sick.sick = true;
      sick.hits = 0;
      await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
      const circuit = await app.circuitOf(sick);
      assert.ok(circuit !== undefined && circuit.state !== 'closed');
      // A stream that is reset at once may be so before it is known to be there.
      const codes = {
        http: ['503'],
        http2: ['503'],
        grpc: ['unavailable'],
        tcp: ['upstream-reset', 'connect-failed'],
      }[protocol];
      assert.ok(
        circuit.failures.every(({ result }) => codes.includes(result)),
        JSON.stringify(circuit.failures),
      );
      // Every request that it gets from now on is a probe, which fails and ejects it again.
      await askUntil('failed probes', app, async () => (await app.ejections('probe')) >= 2);
      assert.equal(sick.hits, 5 + (await app.ejections('probe')));
      assert.equal(await app.ejections('failures'), 1);
      assert.ok(others.every(({ hits }) => hits > 0));
      sick.sick = false;
      await until('it to be half-open', async () => (await app.circuitOf(sick))?.state === 'half-open');
      for (let probe = 0; probe < 3; probe++) assert.ok((await app.ask()).ok);
      assert.equal((await app.circuitOf(sick))?.state, 'closed', 'three requests are enough');
      const { hits } = sick;
      const last = await askUntil('requests as before', app, () => sick.hits > hits);
      assert.ok(last.every(({ ok }) => ok));
      const changes = ['is ejected for', 'failures in a row', 'is half-open', 'its probe failed', 'is back'];
      await until('each change in the log', () => changes.every((words) => app.sidecar.log.includes(words)));
    },
  );

  test(`${protocol}: all ${count} endpoints fail: the service is never emptied`, LIMIT, async (context) => {
    const app = await circuitMesh(context, protocol, count);
    for (let i = 0; i < 20; i++) assert.ok((await app.ask()).ok);
    for (const endpoint of app.endpoints) endpoint.sick = true;
    for (let i = 0; i < 60; i++) {
      const { words } = await app.ask();
      // The endpoint's own failure: the proxy does not answer for it.
      assert.equal(words, { http: '503', http2: '503', grpc: '200 14', tcp: 'reset' }[protocol]);
      assert.ok((await app.ejected()) <= Math.floor(count / 2));
    }
    for (const endpoint of app.endpoints) {
      endpoint.sick = false;
      endpoint.hits = 0;
    }
    await askUntil('requests at all of them', app, () => app.endpoints.every(({ hits }) => hits > 3));
    assert.ok((await app.ask()).ok);
    assert.equal(await app.ejected(), 0);
  });
}

test(
  'by default a breaker is there: five failures in a row, of one endpoint of three',
  LIMIT,
  async (context) => {
    const app = await circuitMesh(context, 'http', 3, { breaker: '' });
    const [sick] = app.endpoints as [AilingEndpoint];
    sick.sick = true;
    const results = await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
    assert.equal(sick.hits, 5);
    const failed = results.filter(({ ok }) => !ok);
    assert.equal(failed.length, 5);
    // The one that opened it names the failures, and so does any request after it.
    const opening = await app.explain(failed.at(-1)?.id ?? '');
    assert.match(
      opening,
      new RegExp(
        `policy circuit-breaker ejected: ${sick.address} is ejected for [56]\\.\\d s: 5 failures in a row \\((503 at [\\d:.]+Z(, )?){5}\\)`,
      ),
    );
    const { id } = await app.ask();
    assert.match(
      await app.explain(id),
      new RegExp(`policy circuit-breaker ejected: 1 of 3 endpoints: ${sick.address} open, .*503 at `),
    );
  },
);

test('one endpoint alone is never ejected', LIMIT, async (context) => {
  const app = await circuitMesh(context, 'http', 1);
  const [only] = app.endpoints as [AilingEndpoint];
  only.sick = true;
  for (let i = 0; i < 30; i++) assert.equal((await app.ask()).words, '503');
  assert.equal(only.hits, 30);
  assert.equal(await app.ejected(), 0);
  assert.equal((await app.circuitOf(only))?.spared, 'it is the last');
});

test('off: nobody is ejected', LIMIT, async (context) => {
  const app = await circuitMesh(context, 'http', 3, { breaker: 'off' });
  const [sick] = app.endpoints as [AilingEndpoint];
  sick.sick = true;
  await askUntil('many failures', app, () => sick.hits > 20);
  assert.equal(await app.ejected(), 0);
  assert.equal(await app.circuitOf(sick), undefined);
});

test('by success rate: an endpoint that fails every other request is ejected', LIMIT, async (context) => {
  const app = await circuitMesh(context, 'http', 3, {
    breaker: 'failures 1000, success 80% of 10 in 10m, eject 60s..60s',
  });
  const [sick] = app.endpoints as [AilingEndpoint];
  await askUntil('the ejection', app, async () => {
    sick.sick = sick.hits % 2 === 0;
    return (await app.ejected()) === 1;
  });
  assert.equal(await app.ejections('success-rate'), 1);
  await until('why in the log', () => /\d of \d+ requests succeeded of late/.test(app.sidecar.log));
});

for (const annotation of ['', 'success off'])
  test(
    `a TrafficPolicy judges by success rate, and the Service ${annotation === '' ? 'says nothing' : 'takes that back, and nothing else'}`,
    LIMIT,
    async (context) => {
      const app = await circuitMesh(context, 'http', 3, {
        policy: 'failures 7, eject 60s..60s, success 80% of 10 in 10m',
        breaker: annotation,
      });
      const [sick] = app.endpoints as [AilingEndpoint];
      // Every other request fails: there is no row of failures.
      await askUntil('many requests', app, async () => {
        sick.sick = sick.hits % 2 === 0;
        return sick.hits >= 60 || (await app.ejected()) === 1;
      });
      assert.equal(await app.ejections('success-rate'), annotation === '' ? 1 : 0);
      if (annotation === '') return;
      assert.equal(await app.ejected(), 0);
      sick.sick = false;
      const { hits } = sick;
      await askUntil('one that goes well', app, () => sick.hits > hits);
      sick.sick = true;
      sick.hits = 0;
      await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
      assert.deepEqual([sick.hits, await app.ejections('failures')], [7, 1]);
    },
  );

test(
  'an endpoint that flaps: never more than half are ejected, and at last all are back',
  LIMIT,
  async (context) => {
    const app = await circuitMesh(context, 'http', 3);
    const [sick] = app.endpoints as [AilingEndpoint];
    for (let round = 0; round < 12; round++) {
      sick.sick = round % 2 === 0;
      for (let i = 0; i < 15; i++) await app.ask();
      assert.ok((await app.ejected()) <= 1);
    }
    sick.sick = false;
    await askUntil('all of them back', app, async () => (await app.ejected()) === 0);
    assert.ok((await app.ask()).ok);
  },
);

test(
  'an endpoint that is gone: its failed connects count, though retries hide them from callers',
  LIMIT,
  async (context) => {
    const server = createServer((_request, response) => response.end());
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const gone = { address: `127.0.0.1:${port}` };
    context.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const app = await circuitMesh(context, 'http', 2, { extra: [gone.address] });
    for (let i = 0; i < 10; i++) assert.ok((await app.ask()).ok);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const results = await askUntil('the ejection', app, async () => (await app.ejected()) === 1);
    assert.ok(results.every(({ ok }) => ok));
    const circuit = await app.circuitOf(gone);
    assert.deepEqual([...new Set(circuit?.failures.map(({ result }) => result))], ['connect-failed']);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const back = await askUntil('its return', app, async () => (await app.ejected()) === 0);
    assert.ok(back.every(({ ok }) => ok));
  },
);

test('workers judge each for itself, and are told of as one', LIMIT, async (context) => {
  const app = await circuitMesh(context, 'http', 3, {
    breaker: 'failures 3, eject 60s..60s',
    flags: ['--workers', '2'],
  });
  const [sick] = app.endpoints as [AilingEndpoint];
  sick.sick = true;
  await askUntil('an ejection', app, async () => (await app.ejected()) === 1);
  assert.equal((await app.circuitOf(sick))?.state, 'open');
  assert.ok((await app.ejections('failures')) >= 1);
});
