import { type Fault, pause } from './fault.ts';

/** kill -9 of one control plane: no request may fail of it. */
export const killControlPlane: Fault = {
  name: 'kill-control-plane',
  aim: 'control-plane',
  lastsMs: [500, 4_000],
  async strike(mesh, target, lastsMs) {
    const { part } = mesh.controlPlane(target);
    await part.kill();
    await pause(lastsMs);
    await part.start();
    await mesh.untilAllReady();
  },
};

/** kill -9 of all control planes, for less than a certificate has left: no request may fail of it. */
export const killControlPlanes: Fault = {
  name: 'kill-control-planes',
  aim: 'control-planes',
  lastsMs: [1_000, 6_000],
  async strike(mesh, _target, lastsMs) {
    await Promise.all(mesh.controlPlanes.map(({ part }) => part.kill()));
    await pause(lastsMs);
    await Promise.all(mesh.controlPlanes.map(({ part }) => part.start()));
    await mesh.untilAllReady();
  },
};

/** What a certificate has left at least when it is renewed, as a share of its life; a little less. */
const LEFT = 0.38;

/**
 * All control planes are away until every certificate has ended, so that no new connection can be made. When they come
 * back, all data planes get new certificates by their tokens.
 */
export const expireCertificates: Fault = {
  name: 'expire-certificates',
  aim: 'control-planes',
  lastsMs: [1_000, 4_000],
  async strike(mesh, _target, lastsMs) {
    await Promise.all(mesh.controlPlanes.map(({ part }) => part.kill()));
    await pause(mesh.leafLifeMs * LEFT);
    const healed = mesh.impair('expire-certificates', ['*']);
    await pause(mesh.leafLifeMs * (1 - LEFT) + lastsMs);
    await Promise.all(mesh.controlPlanes.map(({ part }) => part.start()));
    await mesh.untilAllReady();
    healed();
  },
};
