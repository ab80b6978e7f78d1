import { type Fault, killAll, pause } from './fault.ts';

/** kill -9 of an application; it is started again at its address, as a kubelet does. */
export const killApplication: Fault = {
  name: 'kill-application',
  aim: 'endpoint',
  lastsMs: [500, 3_000],
  async strike(mesh, target, lastsMs) {
    const { app, sidecar } = mesh.endpoint(target);
    const healed = mesh.impair('kill-application', [target]);
    const sign = await killAll([app]);
    await pause(lastsMs);
    await app.start();
    app.send({ outbound: sidecar.ready.outbound });
    healed();
    return sign;
  },
};

/** kill -9 of the sidecar of an endpoint: its application is well, and cannot be reached. */
export const killSidecar: Fault = {
  name: 'kill-sidecar',
  aim: 'endpoint',
  lastsMs: [500, 3_000],
  strike: (mesh, target, lastsMs) =>
    mesh.restarting(async () => {
      const { sidecar } = mesh.endpoint(target);
      const known = await mesh.servicesKnownTo(sidecar);
      const healed = mesh.impair('kill-sidecar', [target]);
      const sign = await killAll([sidecar]);
      await pause(lastsMs);
      await sidecar.start();
      await mesh.untilReady(sidecar);
      healed();
      await mesh.untilKnows(sidecar, known);
      return sign;
    }),
};

/** kill -9 of the sidecar that a client calls, or of the gateway: that client has no other way. */
export const killEntry: Fault = {
  name: 'kill-entry',
  aim: 'entry',
  lastsMs: [300, 1_500],
  strike: (mesh, target, lastsMs) =>
    mesh.restarting(async () => {
      const part = mesh.entry(target);
      const known = await mesh.servicesKnownTo(part);
      const healed = mesh.impair('kill-entry', [target]);
      const sign = await killAll([part]);
      await pause(lastsMs);
      await part.start();
      await mesh.untilReady(part);
      // Whoever calls a sidecar that says it is ready is served.
      healed(0);
      await mesh.untilKnows(part, known);
      return sign;
    }),
};

/** kill -9 of all applications of a service: nothing can answer, and each answer of the mesh says why. */
export const killService: Fault = {
  name: 'kill-service',
  aim: 'service',
  lastsMs: [1_000, 3_000],
  async strike(mesh, target, lastsMs) {
    const endpoints = mesh.endpointsOf(target);
    const healed = mesh.impair(
      'kill-service',
      endpoints.map(({ name }) => name),
    );
    const sign = await killAll(endpoints.map(({ app }) => app));
    await pause(lastsMs);
    await Promise.all(
      endpoints.map(async ({ app, sidecar }) => {
        await app.start();
        app.send({ outbound: sidecar.ready.outbound });
      }),
    );
    healed();
    return sign;
  },
};
