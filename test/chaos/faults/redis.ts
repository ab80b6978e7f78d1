import type { FaultProxy } from '../fault-proxy.ts';
import type { ChaosMesh } from '../mesh.ts';
import { type Fault, feltSince, freezeFor, killAll, pause } from './fault.ts';
import { untilGivenUp } from './links.ts';

/*
 * Redis counts quotas, and no more than that: while it is ill the sidecars of the limited service go on with their
 * shares. So none of these impairs anything: no request may fail of them but by 429 where there is a quota.
 */

/** Its link is ill as `makeIll` says for so long. Half-open connections are given up, however they came to be. */
async function illLink(
  mesh: ChaosMesh,
  lastsMs: number,
  makeIll: (link: FaultProxy) => void,
): Promise<string> {
  const link = mesh.redisLink;
  const before = link.felt;
  makeIll(link);
  await pause(lastsMs);
  link.clear();
  await untilGivenUp(link, 'redis');
  return feltSince(link, before);
}

/** kill -9; it comes back empty: what was used is forgotten. */
export const killRedis: Fault = {
  name: 'kill-redis',
  aim: 'redis',
  lastsMs: [200, 4_000],
  async strike(mesh, _target, lastsMs) {
    const sign = await killAll([mesh.redis]);
    await pause(lastsMs);
    await mesh.redis.start();
    return sign;
  },
};

/** SIGSTOP: connections stay open, and nobody answers; what was asked meanwhile is done afterwards. */
export const freezeRedis: Fault = {
  name: 'freeze-redis',
  aim: 'redis',
  lastsMs: [500, 5_000],
  strike: (mesh, _target, lastsMs) => freezeFor(mesh.redis, lastsMs),
};

/** Nothing arrives, on old connections nor on new ones, and nobody is told. */
export const silentRedis: Fault = {
  name: 'silent-redis',
  aim: 'redis',
  lastsMs: [500, 5_000],
  strike: (mesh, _target, lastsMs) =>
    illLink(mesh, lastsMs, (link) => {
      link.weather = { kind: 'silent' };
    }),
};

/** The far sides of all connections are gone and nobody says so; new connections are well. */
export const cutRedis: Fault = {
  name: 'cut-redis',
  aim: 'redis',
  lastsMs: [100, 1_000],
  strike: (mesh, _target, lastsMs) => illLink(mesh, lastsMs, (link) => link.cut()),
};

const LATE_MS = 500;

/** Each way takes half a second: longer than a control plane waits, and what comes late is done all the same. */
export const lateRedis: Fault = {
  name: 'late-redis',
  aim: 'redis',
  lastsMs: [1_000, 5_000],
  strike: (mesh, _target, lastsMs) =>
    illLink(mesh, lastsMs, (link) => {
      link.weather = { kind: 'late', ms: LATE_MS };
    }),
};
