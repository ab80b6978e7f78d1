import { until } from '../../fixture/wait.ts';
import type { FaultProxy } from '../fault-proxy.ts';
import { RECOVERY_MS } from '../mesh.ts';
import { type Fault, feltSince, pause } from './fault.ts';

/** Nobody may go on using a connection whose other side is gone. */
export function untilGivenUp(link: FaultProxy, target: string): Promise<void> {
  return until(`half-open connections to ${target} to be given up`, () => link.halfOpen === 0, RECOVERY_MS);
}

/** All connections to an endpoint are reset, again and again. */
export const resetLink: Fault = {
  name: 'reset-link',
  aim: 'endpoint',
  lastsMs: [500, 3_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('reset-link', [target]);
    const untilMs = performance.now() + lastsMs;
    while (performance.now() < untilMs) {
      link.reset();
      await pause(250);
    }
    healed();
    return feltSince(link, before);
  },
};

/** Connections to an endpoint are refused, and those that are there are reset. */
export const refuseLink: Fault = {
  name: 'refuse-link',
  aim: 'endpoint',
  lastsMs: [1_000, 4_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('refuse-link', [target]);
    link.weather = { kind: 'refusing' };
    link.reset();
    await pause(lastsMs);
    link.clear();
    healed();
    return feltSince(link, before);
  },
};

/** The far sides of all connections are gone and nobody says so; new connections are well. */
export const halfOpenLink: Fault = {
  name: 'half-open-link',
  aim: 'endpoint',
  lastsMs: [100, 500],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('half-open-link', [target]);
    link.cut();
    await pause(lastsMs);
    await untilGivenUp(link, target);
    healed();
    return feltSince(link, before);
  },
};

/** Nothing arrives, on old connections nor on new ones, and nobody is told. */
export const silentLink: Fault = {
  name: 'silent-link',
  aim: 'endpoint',
  lastsMs: [3_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('silent-link', [target]);
    link.weather = { kind: 'silent' };
    await pause(lastsMs);
    link.clear();
    await untilGivenUp(link, target);
    healed();
    return feltSince(link, before);
  },
};

/** All bytes come late, though in time for every policy: no request may fail of it. */
export const lateLink: Fault = {
  name: 'late-link',
  aim: 'endpoint',
  lastsMs: [2_000, 6_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    // A handshake is several ways long: only new connections may take longer than a try may.
    const healed = mesh.impair('late-link', [target]);
    link.weather = { kind: 'late', ms: 150 };
    await pause(lastsMs);
    link.clear();
    healed();
    return feltSince(link, before);
  },
};

/** So few bytes pass in a second that answers queue. */
export const narrowLink: Fault = {
  name: 'narrow-link',
  aim: 'endpoint',
  lastsMs: [2_000, 6_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('narrow-link', [target]);
    link.weather = { kind: 'narrow', bytesPerSecond: 20_000 };
    await pause(lastsMs);
    link.clear();
    healed();
    return feltSince(link, before);
  },
};

/** Bytes that nobody sent come on connections in use. */
export const garbleLink: Fault = {
  name: 'garble-link',
  aim: 'endpoint',
  lastsMs: [500, 2_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.endpoint(target);
    const before = link.felt;
    const healed = mesh.impair('garble-link', [target]);
    const untilMs = performance.now() + lastsMs;
    while (performance.now() < untilMs) {
      link.garble();
      await pause(200);
    }
    healed();
    return feltSince(link, before);
  },
};

/** Nothing passes between data planes and one control plane, and nobody is told: no request may fail of it. */
export const silentControlPlane: Fault = {
  name: 'silent-control-plane',
  aim: 'control-plane',
  // Data planes that have nothing to say ask every 5 s whether it is there.
  lastsMs: [6_000, 10_000],
  async strike(mesh, target, lastsMs) {
    const { link } = mesh.controlPlane(target);
    const before = link.felt;
    link.weather = { kind: 'silent' };
    await pause(lastsMs);
    link.clear();
    await untilGivenUp(link, target);
    await mesh.untilAllReady();
    return feltSince(link, before);
  },
};
