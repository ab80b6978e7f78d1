import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { request } from 'undici';
import { type Admissions, admissionsAt, bucket, excess } from '../fixture/admissions.ts';
import { limitedMesh } from '../fixture/limited-mesh.ts';
import type { RedisProcess } from '../fixture/redis.ts';
import {
  mayDoWhatIsDocumented,
  redisCluster,
  redisWithSentinel,
  redisWithTls,
} from '../fixture/redis-topologies.ts';
import { temporaryDir } from '../fixture/relay.ts';
import { until } from '../fixture/wait.ts';

const LIMIT = { timeout: 120_000 };

interface Counted {
  readonly load: Admissions;
  /** Waits until so many more are let in by each of two sidecars, and some are refused. */
  goesOn(what: string): Promise<void>;
  /** Ends the load: it was never more than the quota. */
  end(): Promise<void>;
}

/** A control plane and two sidecars that are asked for more than their quota, which is counted in this store. */
async function counted(
  context: TestContext,
  store: string,
  controlFlags: readonly string[] = [],
): Promise<Counted> {
  const mesh = await limitedMesh(context, '80/s burst 20', 2, { store, controlFlags });
  const load = admissionsAt(context, mesh.addresses, 2);
  return {
    load,
    async goesOn(what) {
      const [before, refused] = [new Map(load.byAddress), load.refused];
      await until(`${what}: both are let in, and refused`, () => {
        const more = (at: string) => (load.byAddress.get(at) ?? 0) - (before.get(at) ?? 0);
        return mesh.addresses.every((at) => more(at) >= 20) && load.refused > refused + 20;
      });
    },
    async end() {
      await load.stop();
      assert.deepEqual(load.others, []);
      const over = excess(load.all, bucket(80, 20));
      assert.ok(over <= 0, `${over} more than the quota`);
    },
  };
}

/** Whether a control plane has run its scripts there: a replica only gets what came of them. */
async function isAsked(redis: RedisProcess): Promise<boolean> {
  return (await redis.ask('INFO', 'commandstats')).includes('cmdstat_evalsha:');
}

test('a quota in a Cluster', LIMIT, async (context) => {
  const nodes = await redisCluster(context);
  const { goesOn, end } = await counted(context, `redis+cluster://127.0.0.1:${nodes[0]?.port}`);
  await goesOn('in the Cluster');
  await end();
  const asked = await Promise.all(nodes.map(isAsked));
  assert.equal(asked.filter((one) => one).length, 1, 'all keys of one service are in one slot');
});

test('a quota of a Redis by TLS with a certificate, as a user with a password', LIMIT, async (context) => {
  const secured = await redisWithTls(context);
  const { redis, ca, cert, key, user, password } = secured;
  await mayDoWhatIsDocumented(secured);
  const file = join(temporaryDir(context), 'password');
  writeFileSync(file, password, { mode: 0o600 });
  const trust = ['--redis-ca-file', ca, '--redis-cert-file', cert, '--redis-key-file', key];
  const { goesOn, end } = await counted(context, `rediss://${user}@127.0.0.1:${redis.port}`, [
    ...trust,
    ...['--redis-password-file', file],
  ]);
  await goesOn('by TLS');
  await end();
  assert.ok(await isAsked(redis));
  assert.doesNotMatch(await redis.ask('ACL', 'LOG'), /reason\s+command/);
});

test(
  'a quota of the master that Sentinel names: it is killed, and its replica takes over',
  LIMIT,
  async (context) => {
    const { master, replica, sentinel } = await redisWithSentinel(context);
    const { goesOn, end } = await counted(context, `redis+sentinel://127.0.0.1:${sentinel.port}/main`);
    await goesOn('at the master');
    await master.kill();
    await until('the replica to be asked', () => isAsked(replica));
    await goesOn('at the replica');
    await end();
  },
);

const SECRETS = { password: 'of redis: %41/#', sentinelPassword: 'of sentinel: %42/#' };

/** Files of these passwords, as flags of a control plane. */
function passwordFlags(context: TestContext, { password, sentinelPassword } = SECRETS): string[] {
  const dir = temporaryDir(context);
  const [ofRedis, ofSentinel] = [join(dir, 'redis'), join(dir, 'sentinel')];
  writeFileSync(ofRedis, password, { mode: 0o600 });
  // As `echo` writes it.
  writeFileSync(ofSentinel, `${sentinelPassword}\n`, { mode: 0o600 });
  return ['--redis-password-file', ofRedis, '--redis-sentinel-password-file', ofSentinel];
}

test('Sentinels and the master that they name have a password each', LIMIT, async (context) => {
  const { master, sentinel } = await redisWithSentinel(context, SECRETS);
  const store = `redis+sentinel://127.0.0.1:${sentinel.port}/main`;
  const { goesOn, end } = await counted(context, store, passwordFlags(context));
  await goesOn('with both passwords');
  await end();
  assert.ok(await isAsked(master));
});

test('both passwords may come by the environment', LIMIT, async (context) => {
  const variables = {
    TULLE_REDIS_PASSWORD: SECRETS.password,
    TULLE_REDIS_SENTINEL_PASSWORD: SECRETS.sentinelPassword,
  };
  context.after(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
  });
  const { master, sentinel } = await redisWithSentinel(context, SECRETS);
  Object.assign(process.env, variables); // processes that are started have it from here
  const { goesOn, end } = await counted(context, `redis+sentinel://127.0.0.1:${sentinel.port}/main`);
  await goesOn('with the passwords of the environment');
  await end();
  assert.ok(await isAsked(master));
});

for (const [what, wrong] of [
  ['Sentinels', { ...SECRETS, sentinelPassword: 'a wrong one' }],
  ['the master', { ...SECRETS, password: 'a wrong one' }],
] as const)
  test(
    `a wrong password of ${what} is an outage: it is told why, and no password is`,
    LIMIT,
    async (context) => {
      const { sentinel } = await redisWithSentinel(context, SECRETS);
      const store = `redis+sentinel://127.0.0.1:${sentinel.port}/main`;
      const controlFlags = [...passwordFlags(context, wrong), '--log-level', 'debug'];
      const mesh = await limitedMesh(context, '80/s on-outage deny', 1, { store, controlFlags });
      let told = '';
      await until('the reason to be told', async () => {
        const { statusCode, body } = await request(`http://${mesh.addresses[0]}/`);
        told = await body.text();
        assert.equal(statusCode, 429, told);
        return told.includes('WRONGPASS');
      });
      const { log } = mesh.controlPlane;
      assert.match(log, /Redis cannot be asked/);
      for (const text of [told, log]) assert.doesNotMatch(text, /of redis|of sentinel|a wrong one/);
    },
  );
