import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Fleet } from '../bench/quota-fleet/fleet.ts';
import { delayingProxy } from './fixture/delaying-proxy.ts';
import { redisProcess } from './fixture/redis.ts';
import { temporaryDir } from './fixture/relay.ts';

const RATE = 2_000;

async function fleet(context: TestContext, store: string): Promise<Fleet> {
  const started = await Fleet.start({
    dir: temporaryDir(context),
    sidecars: 10,
    workers: 2,
    controlPlanes: 2,
    limit: `${RATE}/s burst 400`,
    store,
  });
  context.after(() => started.close());
  return started;
}

/** Runs until so many more are admitted. */
async function admits(of: Fleet, more: number, during?: () => Promise<void>): Promise<void> {
  const aim = of.admitted.total + more;
  const demand = { shape: 'zipf', perSecond: 2 * RATE } as const;
  await of.run(500, demand, during);
  for (let tries = 0; of.admitted.total < aim; tries++) {
    assert.ok(tries < 60, `only ${of.admitted.total} of ${aim} were admitted`);
    await of.run(500, demand);
  }
}

test('sidecars at several control planes on Redis never admit more than the quota in any window, whatever fails', async (context) => {
  const redis = await redisProcess(context);
  const proxy = await delayingProxy(redis.port);
  context.after(() => proxy.close());
  const running = await fleet(context, `redis://127.0.0.1:${proxy.port}`);
  await admits(running, 500);
  await admits(running, 500, async () => {
    await redis.kill();
    await redis.restart();
  });
  await admits(running, 200, async () => {
    proxy.delayMs = 250;
    await running.run(1_500, { shape: 'equal', perSecond: RATE });
    proxy.delayMs = 0;
  });
  await admits(running, 500, async () => {
    running.controlPlanes[0]?.kill('SIGKILL');
  });
  assert.ok(running.excess <= 0, `${running.excess} more than the quota`);
});
