import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { appMesh } from './fixture/relay.ts';
import { askHttp1 } from './fixture/two-ways.ts';
import { until } from './fixture/wait.ts';
import { sidecarOn } from './resilience/sidecar-process.ts';

const LIMIT = { timeout: 120_000 };

interface Endpoint {
  readonly address: string;
  /** How many connections it took. */
  connections: number;
  stop(): void;
}

/** An application that answers with its address. */
async function endpoint(context: TestContext): Promise<Endpoint> {
  const server = createServer((_request, response) => response.end(one.address));
  const one = {
    address: '',
    connections: 0,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  server.on('connection', () => one.connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(one.stop);
  const { port } = server.address() as AddressInfo; // it listens by TCP
  one.address = `127.0.0.1:${port}`;
  return one;
}

test(
  'a sidecar connects to its subset only, all workers to the same, and to one more when a member is gone',
  LIMIT,
  async (context) => {
    const endpoints = await Promise.all(Array.from({ length: 12 }, () => endpoint(context)));
    const addresses = endpoints.map(({ address }) => address);
    const balance = { 'tulle.dev/balance': 'random, subset 2, warm 3' };
    const { outbound } = await sidecarOn(context, appMesh(addresses, balance), '--workers', '2');
    const connected = () => endpoints.filter(({ connections }) => connections > 0);
    const ask = async () => (await askHttp1(outbound)).body;
    // The kernel gives about half of so many connections to each worker.
    for (let asked = 0; asked < 60; asked++) assert.ok(addresses.includes(await ask()));
    await until('warm connections of both workers', () =>
      connected().every(({ connections }) => connections >= 6),
    );
    const members = connected();
    assert.equal(members.length, 2);
    const [gone, stays] = members as [Endpoint, Endpoint];
    gone.stop();
    await until('another in its place', async () => {
      await ask();
      return connected().length > 2;
    });
    const used = new Set<string>();
    await until('it to be used', async () => {
      used.add(await ask());
      return used.size === 2;
    });
    assert.ok(used.has(stays.address));
    assert.equal(connected().length, 3, 'both workers take the same');
  },
);

test('several sidecars use more endpoints than one, each its own subset', LIMIT, async (context) => {
  const endpoints = await Promise.all(Array.from({ length: 40 }, () => endpoint(context)));
  const mesh = appMesh(
    endpoints.map(({ address }) => address),
    { 'tulle.dev/balance': 'round-robin, subset 4' },
  );
  const seen = new Set<string>();
  for (let number = 0; number < 3; number++) {
    const { outbound } = await sidecarOn(context, mesh);
    const own = new Set<string>();
    for (let asked = 0; asked < 12; asked++) own.add((await askHttp1(outbound)).body);
    assert.equal(own.size, 4);
    for (const address of own) seen.add(address);
  }
  assert.equal(endpoints.filter(({ connections }) => connections > 0).length, seen.size);
  // That three choose the same 4 of 40 has a chance of 10^-10.
  assert.ok(seen.size > 4);
});
