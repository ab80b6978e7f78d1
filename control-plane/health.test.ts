import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openHealthServer, type Readiness } from './health.ts';

const READY: Readiness = { ready: true, waiting: [], degraded: ['the API server is away'], leads: false };

async function opened(context: TestContext, state: { now: Readiness }): Promise<string> {
  const server = await openHealthServer(
    { host: '127.0.0.1', port: 0 },
    { readiness: () => state.now, metrics: async () => ({ contentType: 'text/x', text: 'a 1\n' }) },
  );
  context.after(() => server.close());
  return `http://${server.address}`;
}

test('ready though degraded is 200, not ready is 503, and both say why in JSON; it lives all the while', async (context) => {
  const state = { now: READY };
  const url = await opened(context, state);
  const ready = await fetch(`${url}/readyz?verbose`);
  assert.deepEqual([ready.status, await ready.json()], [200, READY]);
  state.now = { ...READY, ready: false, waiting: ['the first lists'] };
  const waiting = await fetch(`${url}/readyz`);
  assert.deepEqual([waiting.status, await waiting.json()], [503, state.now]);
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  const metrics = await fetch(`${url}/metrics`);
  assert.deepEqual([metrics.headers.get('content-type'), await metrics.text()], ['text/x', 'a 1\n']);
});

test('nothing else is served, and nothing can be changed', async (context) => {
  const url = await opened(context, { now: READY });
  assert.equal((await fetch(`${url}/debug`)).status, 404);
  assert.equal((await fetch(`${url}/livez`, { method: 'POST', body: 'x' })).status, 405);
});

test('an address that cannot be used is named; without a host it listens on all', async (context) => {
  const url = new URL(await opened(context, { now: READY }));
  const sources = { readiness: () => READY, metrics: async () => ({ contentType: '', text: '' }) };
  await assert.rejects(openHealthServer({ host: '127.0.0.1', port: Number(url.port) }, sources), {
    message: `cannot listen on ${url.host}: EADDRINUSE`,
  });
  const all = await openHealthServer({ port: 0 }, sources);
  context.after(() => all.close());
  assert.match(all.address, /^(\[::\]|0\.0\.0\.0):\d+$/);
  assert.equal((await fetch(`http://127.0.0.1:${all.address.split(':').at(-1)}/livez`)).status, 200);
});
