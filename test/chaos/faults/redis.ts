import { type Fault, freezeFor, killAll, pause } from './fault.ts';
import { illLink, silence } from './links.ts';

/*
 * Redis counts quotas, and no more than that: while it is ill the sidecars of the limited service go on with their
 * shares. So none of these impairs anything: no request may fail of them but by 429 where there is a quota.
 */

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
  strike: (mesh, target, lastsMs) => illLink(mesh.redisLink, target, lastsMs, silence),
};

/** The far sides of all connections are gone and nobody says so; new connections are well. */
export const cutRedis: Fault = {
  name: 'cut-redis',
  aim: 'redis',
  lastsMs: [100, 1_000],
  strike: (mesh, target, lastsMs) => illLink(mesh.redisLink, target, lastsMs, (link) => link.cut()),
};

const LATE_MS = 500;

/** Each way takes half a second: longer than a control plane waits, and what comes late is done all the same. */
export const lateRedis: Fault = {
  name: 'late-redis',
  aim: 'redis',
  lastsMs: [1_000, 5_000],
  strike: (mesh, target, lastsMs) =>
    illLink(mesh.redisLink, target, lastsMs, (link) => {
      link.weather = { kind: 'late', ms: LATE_MS };
    }),
};
