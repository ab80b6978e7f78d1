import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { issueFiles } from '../../control-plane/authority/issue-files.ts';
import { type Ask, callerBy, type Protocol } from '../fixture/ailing-endpoints.ts';
import { deadAddress } from '../fixture/free-port.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { answerOk, rawGrpcServer } from '../grpc/raw-server.ts';
import { startHttp2 } from '../http2/server.ts';

const LIMIT = { timeout: 60_000 };

/** An application that answers all, and its address. */
async function living(context: TestContext, protocol: Protocol): Promise<string> {
  if (protocol === 'grpc') return rawGrpcServer(context, (stream) => answerOk(stream));
  if (protocol === 'http2')
    return (await startHttp2(context, (stream) => stream.respond({ ':status': 200 }, { endStream: true })))
      .address;
  const server = createServer((_request, response) => response.end());
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Callers of `app.shop` by mTLS, of whose two endpoints one has a sidecar and no application. */
async function halfDead(context: TestContext, protocol: Protocol): Promise<Ask> {
  const dir = temporaryDir(context);
  const start = async (name: string, workload: string, mesh: object, ...flags: string[]) => {
    const file = join(dir, `${name}.yaml`);
    writeMesh(file, mesh);
    const { cert, key, bundle } = await issueFiles(join(dir, 'ca'), 'mesh.local', workload);
    const identity = ['--identity', `${cert},${key},${bundle}`, '--admin', '127.0.0.1:0'];
    return startTulle(context, 'sidecar', '--standalone', file, ...identity, ...flags);
  };
  const service = { name: 'app', namespace: 'shop', port: 80, protocol };
  const endpoints: object[] = [];
  for (const [name, application] of [
    ['dead', await deadAddress()],
    ['living', await living(context, protocol)],
  ] as const) {
    const workload = ['--workload', `shop/app=${application}`, '--inbound', '127.0.0.1:0'];
    const { ready } = await start(name, 'shop/app', { services: [service] }, ...workload);
    endpoints.push({ address: ready.inbound, identity: 'shop/app' });
  }
  const annotations = { 'tulle.dev/balance': 'round-robin', 'tulle.dev/circuit-breaker': 'off' };
  const caller = await start(
    'web',
    'shop/web',
    { services: [{ ...service, endpoints, annotations }] },
    ...['--outbound', '127.0.0.1:0', '--workload', 'shop/web=127.0.0.1:1'],
  );
  return callerBy(context, protocol, caller.ready.outbound ?? '');
}

for (const protocol of ['http', 'http2', 'grpc'] as const)
  test(
    `${protocol}: an application that is not there costs no request, by default`,
    LIMIT,
    async (context) => {
      const ask = await halfDead(context, protocol);
      const results = [];
      for (let i = 0; i < 12; i++) results.push(await ask());
      assert.deepEqual(
        results.filter(({ ok }) => !ok),
        [],
      );
    },
  );
