import { type Fault, freezeFor } from './fault.ts';

/** SIGSTOP of an application: it takes connections, and says nothing. */
export const freezeApplication: Fault = {
  name: 'freeze-application',
  aim: 'endpoint',
  lastsMs: [2_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { app } = mesh.endpoint(target);
    const healed = mesh.impair('freeze-application', [target]);
    const sign = await freezeFor(app, lastsMs);
    healed();
    return sign;
  },
};

/** SIGSTOP of an endpoint's sidecar: neither its mTLS nor its HTTP/2 is answered. */
export const freezeSidecar: Fault = {
  name: 'freeze-sidecar',
  aim: 'endpoint',
  lastsMs: [2_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { sidecar } = mesh.endpoint(target);
    const healed = mesh.impair('freeze-sidecar', [target]);
    const sign = await freezeFor(sidecar, lastsMs);
    await mesh.untilServing(sidecar);
    healed();
    await mesh.untilReady(sidecar);
    return sign;
  },
};

/** SIGSTOP of a control plane, whose connections stay open: data planes go to the other one, and fail nothing. */
export const freezeControlPlane: Fault = {
  name: 'freeze-control-plane',
  aim: 'control-plane',
  lastsMs: [3_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { part } = mesh.controlPlane(target);
    const sign = await freezeFor(part, lastsMs);
    await mesh.untilAllReady();
    return sign;
  },
};
