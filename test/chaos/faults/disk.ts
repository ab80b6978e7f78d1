import { type Fault, pause } from './fault.ts';

/** No byte is left for logs and for the state of the control planes, and one of these starts anew meanwhile: no request may fail of it. */
export const fillDisk: Fault = {
  name: 'fill-disk',
  aim: 'disk',
  lastsMs: [2_000, 5_000],
  async strike(mesh, _target, lastsMs) {
    mesh.fillDisk();
    const [, second] = mesh.controlPlanes;
    await second?.part.kill();
    const started = second?.part.start().then(
      () => true,
      () => false, // it may refuse to start without a disk
    );
    await pause(lastsMs);
    const sign = mesh.isDiskFull ? 'not a page could be written' : '';
    mesh.freeDisk();
    if ((await started) === false) await second?.part.start();
    await mesh.untilAllReady();
    return sign;
  },
};
