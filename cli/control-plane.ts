import { startControlPlane } from '../control-plane/main.ts';
import { addressOption, durationOption, logLevelOption, splitAddressOption } from './flags.ts';
import { createLog } from './log.ts';
import { type RedisFlags, redisSecrets } from './redis-secrets.ts';
import { onStop } from './stop.ts';

export interface ControlPlaneFlags extends RedisFlags {
  mesh?: string;
  state?: string;
  kubernetes?: boolean;
  namespace?: string;
  namespaceSelector?: string;
  trustDomain: string;
  listen?: string;
  health?: string;
  caCert?: string;
  caKey?: string;
  caRoots?: string;
  lease: string;
  stopDelay: string;
  leafLife: string;
  quotaStore?: string;
  quotaParts: string;
  gateways: boolean;
  gatewayImage: string;
  gatewayImagePullPolicy?: string;
  gatewayServiceType: string;
  gatewayReplicas: string;
  gatewayCpuRequest: string;
  gatewayMemoryRequest: string;
  gatewayMaxReplicas?: string;
  gatewayControlPlane?: string;
  logLevel: string;
}

/** Runs a control plane until it is told to stop; prints one line of JSON once it accepts. */
export async function controlPlaneCommand(flags: ControlPlaneFlags): Promise<void> {
  if (flags.kubernetes === true) {
    const { clusterControlPlane } = await import('./cluster-control-plane.ts');
    await clusterControlPlane(flags);
    return;
  }
  const { mesh, state, listen = '127.0.0.1:7400' } = flags;
  if (mesh === undefined || state === undefined)
    throw new Error('a control plane needs --mesh FILE and --state DIR, or --kubernetes');
  if (flags.quotaStore !== undefined)
    throw new Error('--quota-store is for --kubernetes: a mesh file has quotas.store');
  const running = await startControlPlane({
    meshFile: mesh,
    stateDir: state,
    listen: splitAddressOption(addressOption('--listen', listen)),
    leafLifeMs: durationOption('--leaf-life', flags.leafLife),
    redis: redisSecrets(flags),
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
