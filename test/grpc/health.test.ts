import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { statusOf, type Target, unary, withClient } from './calls.ts';
import { startGrpcServer } from './interop-server.ts';
import { HEALTH_SERVICE, type HealthCheckRequest, type HealthCheckResponse } from './services.ts';

const LIMIT = { timeout: 30_000 };

/** grpc.health.v1 as an application serves it, through both sidecars; `turn` changes what it says. */
async function healthMesh(context: TestContext): Promise<{
  readonly target: Target;
  turn(to: HealthCheckResponse['status']): void;
  readonly watchers: number;
}> {
  let now: HealthCheckResponse['status'] = 'SERVING';
  const watching = new Set<ServerWritableStream<HealthCheckRequest, HealthCheckResponse>>();
  const application = await startGrpcServer(context, [
    [
      HEALTH_SERVICE,
      {
        Check: (
          { request }: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
          answer: sendUnaryData<HealthCheckResponse>,
        ) => {
          if (request.service === '') answer(null, { status: now });
          else answer({ code: status.NOT_FOUND, details: `no ${request.service} here` });
        },
        Watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
          watching.add(call);
          call.on('cancelled', () => watching.delete(call));
          call.write({ status: now });
        },
      },
    ],
  ]);
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' });
  return {
    target: { address: mesh.outbound, authority: 'app.shop' },
    get watchers() {
      return watching.size;
    },
    turn(to) {
      now = to;
      for (const call of watching) call.write({ status: to });
    },
  };
}

test('health checks are answered by the application, unknown names too', LIMIT, async (context) => {
  const health = await healthMesh(context);
  await withClient(health.target, async (client) => {
    const check = (service: string) => unary(client, HEALTH_SERVICE.Check, { service });
    assert.equal((await check('')).response?.status, 'SERVING');
    health.turn('NOT_SERVING');
    assert.equal((await check('')).response?.status, 'NOT_SERVING');
    const unknown = await check('other');
    assert.deepEqual([unknown.code, unknown.details], [status.NOT_FOUND, 'no other here']);
  });
});

test(
  'a watch tells each change as it happens, and its end reaches the application',
  LIMIT,
  async (context) => {
    const health = await healthMesh(context);
    await withClient(health.target, async (client) => {
      const { path, requestSerialize, responseDeserialize } = HEALTH_SERVICE.Watch;
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
        service: '',
      });
      const ended = statusOf(call);
      const told: string[] = [];
      call.on('data', (response: HealthCheckResponse) => told.push(response.status));
      call.on('error', () => {}); // told by its status
      await until('the first word', () => told.length === 1);
      health.turn('NOT_SERVING');
      await until('the second', () => told.length === 2);
      health.turn('SERVING');
      await until('the third', () => told.length === 3);
      assert.deepEqual(told, ['SERVING', 'NOT_SERVING', 'SERVING']);
      call.cancel();
      assert.equal((await ended).code, status.CANCELLED);
      await until('the end at the application', () => health.watchers === 0);
    });
  },
);
