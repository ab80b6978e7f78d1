import { startControlPlane } from '../control-plane/main.ts';
import { addressOption, durationOption, logLevelOption, splitAddressOption } from './flags.ts';
import { createLog } from './log.ts';
import { onStop } from './stop.ts';

export interface ControlPlaneFlags {
  mesh: string;
  state: string;
  listen: string;
  leafLife: string;
  logLevel: string;
}

/** Runs a control plane until it is told to stop; prints one line of JSON once it accepts. */
export async function controlPlaneCommand(flags: ControlPlaneFlags): Promise<void> {
  const running = await startControlPlane({
    meshFile: flags.mesh,
    stateDir: flags.state,
    listen: splitAddressOption(addressOption('--listen', flags.listen)),
    leafLifeMs: durationOption('--leaf-life', flags.leafLife),
    log: createLog(logLevelOption(flags.logLevel)),
  });
  console.log(
    JSON.stringify({
      event: 'ready',
      pid: process.pid,
      address: running.address,
      bundle: running.bundleFile,
    }),
  );
  onStop(() => running.close());
}
