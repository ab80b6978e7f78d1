import type { SignerFiles } from '../control-plane/authority/file-roots.ts';
import { gatewayController } from '../control-plane/gateway-controller.ts';
import {
  type ProvisioningOptions,
  PULL_POLICIES,
  SERVICE_TYPES,
} from '../control-plane/gateways/provisioning-options.ts';
import { startInCluster } from '../control-plane/in-cluster.ts';
import { clusterAccess } from '../control-plane/kubernetes/cluster-access.ts';
import { openQuotaStore } from '../control-plane/quotas/open-store.ts';
import { openKubernetesRegistry } from '../control-plane/registry/kubernetes/kubernetes-registry.ts';
import { parseStoreAddress, STORE_MEANT, type StoreAddress } from '../protocol/quotas/store-address.ts';
import type { ControlPlaneFlags } from './control-plane.ts';
import {
  countOption,
  cpuOption,
  durationOption,
  durationOrNoneOption,
  listenOption,
  logLevelOption,
  memoryOption,
  nameOption,
  peerAddressOption,
  wordOption,
} from './flags.ts';
import { createLog } from './log.ts';
import { redisSecrets } from './redis-secrets.ts';
import { onStop } from './stop.ts';

/** Where its Secret and its Lease are, unless it is told otherwise. */
const NAMESPACE = 'tulle-system';
const MAX_GATEWAYS = 1_000;
const MAX_REPLICAS = 1_000;

/** Runs a replica of a cluster's control plane until it is told to stop; prints one line of JSON once it accepts. */
export async function clusterControlPlane(flags: ControlPlaneFlags): Promise<void> {
  if (flags.mesh !== undefined || flags.state !== undefined)
    throw new Error('--kubernetes takes the mesh from the cluster: leave --mesh and --state out');
  const log = createLog(logLevelOption(flags.logLevel));
  const namespace = flags.namespace ?? process.env.POD_NAMESPACE ?? NAMESPACE;
  const options = {
    namespace: nameOption('--namespace', namespace),
    listen: listenOption('--listen', flags.listen, 7400),
    health: listenOption('--health', flags.health, 4191),
    leafLifeMs: durationOption('--leaf-life', flags.leafLife),
    leaseMs: durationOption('--lease', flags.lease),
    stopDelayMs: durationOrNoneOption('--stop-delay', flags.stopDelay),
    ...(flags.namespaceSelector !== undefined && { namespaceSelector: flags.namespaceSelector }),
    ...signerOption(flags),
  };
  const trustDomain = nameOption('--trust-domain', flags.trustDomain);
  const provisioning = flags.gateways ? provisioningOption(flags, options.namespace) : undefined;
  const store = storeOption(flags);
  const kubeConfig = clusterAccess();
  const registry = openKubernetesRegistry({ kubeConfig, trustDomain, log });
  const controller = gatewayController({
    registry,
    ...(provisioning !== undefined && { provisioning }),
    ...(flags.namespaceSelector !== undefined && { namespaceSelector: flags.namespaceSelector }),
    log,
  });
  const memory = { parts: store.parts };
  const quotas = await openQuotaStore(store.address, trustDomain, redisSecrets(flags), memory, log);
  const replica = await startInCluster({
    ...options,
    kubeConfig,
    registry,
    quotas,
    leadersWork: [controller],
    log,
  });
  onStop(() => replica.close());
  const address = await replica.serving.catch(async (error: unknown) => {
    await replica.close();
    throw error;
  });
  if (address === undefined) return; // told to stop before
  console.log(JSON.stringify({ event: 'ready', pid: process.pid, address, health: replica.health }));
}

function storeOption({ quotaStore = 'memory', quotaParts }: ControlPlaneFlags): {
  address: StoreAddress;
  parts: number;
} {
  const address = parseStoreAddress(quotaStore);
  // It may have a password in it: it is not repeated.
  if (typeof address === 'string') throw new Error(`--quota-store ${address}; ${STORE_MEANT}`);
  return { address, parts: countOption('--quota-parts', quotaParts, 1, MAX_REPLICAS) };
}

function provisioningOption(flags: ControlPlaneFlags, namespace: string): ProvisioningOptions {
  const { gatewayImage: image, gatewayImagePullPolicy: pull } = flags;
  const replicas = countOption('--gateway-replicas', flags.gatewayReplicas, 1, MAX_GATEWAYS);
  const most = flags.gatewayMaxReplicas;
  const controlPlane = flags.gatewayControlPlane ?? `control-plane.${namespace}.svc:7400`;
  return {
    image,
    ...(pull !== undefined && {
      imagePullPolicy: wordOption('--gateway-image-pull-policy', pull, PULL_POLICIES),
    }),
    serviceType: wordOption('--gateway-service-type', flags.gatewayServiceType, SERVICE_TYPES),
    replicas,
    maxReplicas:
      most === undefined ? replicas : countOption('--gateway-max-replicas', most, replicas, MAX_GATEWAYS),
    requests: {
      cpu: cpuOption('--gateway-cpu-request', flags.gatewayCpuRequest),
      memory: memoryOption('--gateway-memory-request', flags.gatewayMemoryRequest),
    },
    controlPlane: peerAddressOption('--gateway-control-plane', controlPlane),
  };
}

function signerOption({ caCert, caKey, caRoots }: ControlPlaneFlags): { signer?: SignerFiles } {
  if (caCert === undefined && caKey === undefined && caRoots === undefined) return {};
  if (caCert === undefined || caKey === undefined || caRoots === undefined)
    throw new Error('a given signer needs all of --ca-cert, --ca-key and --ca-roots');
  return { signer: { certificate: caCert, key: caKey, roots: caRoots } };
}
