import { type Fault, pause } from './fault.ts';

/** SIGSTOP of an application: it takes connections, and says nothing. */
export const freezeApplication: Fault = {
  name: 'freeze-application',
  aim: 'endpoint',
  lastsMs: [2_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { app } = mesh.endpoint(target);
    const healed = mesh.impair('freeze-application', [target]);
    app.freeze();
    await pause(lastsMs);
    app.thaw();
    healed();
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
    sidecar.freeze();
    await pause(lastsMs);
    sidecar.thaw();
    await mesh.untilReady(sidecar);
    healed();
  },
};

/** SIGSTOP of a control plane, whose connections stay open: data planes go to the other one, and fail nothing. */
export const freezeControlPlane: Fault = {
  name: 'freeze-control-plane',
  aim: 'control-plane',
  lastsMs: [3_000, 8_000],
  async strike(mesh, target, lastsMs) {
    const { part } = mesh.controlPlane(target);
    part.freeze();
    await pause(lastsMs);
    part.thaw();
    await mesh.untilAllReady();
  },
};
