import { PULL_POLICIES } from '../control-plane/gateways/provisioning-options.ts';
import { openCluster } from '../injector/cluster.ts';
import { startInjector } from '../injector/main.ts';
import {
  cpuOption,
  durationOrNoneOption,
  listenOption,
  logLevelOption,
  memoryOption,
  nameOption,
  peerAddressOption,
  wordOption,
} from './flags.ts';
import { createLog } from './log.ts';
import { onStop } from './stop.ts';

export interface InjectorFlags {
  image: string;
  imagePullPolicy?: string;
  listen?: string;
  health?: string;
  namespace: string;
  service: string;
  certificateName?: string[];
  controlPlane: string;
  configuration: string;
  linger: string;
  proxyCpuRequest: string;
  proxyMemoryRequest: string;
  cni?: boolean;
  logLevel: string;
}

/** Runs an admission webhook until it is told to stop; prints one line of JSON once it accepts. */
export async function injectorCommand(flags: InjectorFlags): Promise<void> {
  const namespace = nameOption('--namespace', flags.namespace);
  const service = `${nameOption('--service', flags.service)}.${namespace}.svc`;
  const running = await startInjector({
    cluster: openCluster(),
    injection: {
      image: flags.image,
      ...(flags.imagePullPolicy !== undefined && {
        imagePullPolicy: wordOption(
          '--image-pull-policy',
          flags.imagePullPolicy,
          PULL_POLICIES,
          'is not a policy',
        ),
      }),
      controlPlane: peerAddressOption('--control-plane', flags.controlPlane),
      cni: flags.cni === true,
      requests: {
        cpu: cpuOption('--proxy-cpu-request', flags.proxyCpuRequest),
        memory: memoryOption('--proxy-memory-request', flags.proxyMemoryRequest),
      },
      systemNamespace: namespace,
    },
    listen: listenOption('--listen', flags.listen, 8443),
    health: listenOption('--health', flags.health, 4191),
    configuration: nameOption('--configuration', flags.configuration),
    names: [service, `${service}.cluster.local`, ...(flags.certificateName ?? [])],
    lingerMs: durationOrNoneOption('--linger', flags.linger),
    log: createLog(logLevelOption(flags.logLevel)),
  });
  const { address, health } = running;
  console.log(JSON.stringify({ event: 'ready', pid: process.pid, address, health }));
  onStop(() => running.close());
}
