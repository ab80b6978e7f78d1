import type { V1Container, V1PodSpec, V1Probe } from '@kubernetes/client-node';
import {
  BUNDLE_FILE,
  IDENTITY_FOLDER,
  IDENTITY_VOLUME,
  identityVolume,
  TOKEN_FILE,
} from '../../protocol/identity-volume.ts';
import type { ProxySettings } from '../../protocol/pod-annotations.ts';
import { atMost, parseCpu, parseMemory } from '../../protocol/quantity.ts';
import type { ProvisioningOptions } from './provisioning-options.ts';

const HEALTH_PORT = 4191;
const ADMIN_PORT = 4190;
const UID = 2102;
/** In which load balancers and proxies of Services learn that the pod ends. */
const SLEEP_SECONDS = 5;
const DRAIN_SECONDS = 30;

export interface GatewayPodFacts {
  readonly namespace: string;
  readonly gateway: string;
  readonly serviceAccount: string;
  readonly settings: ProxySettings;
  /** Labels by which its replicas are told from others. */
  readonly selector: Readonly<Record<string, string>>;
}

/** The pod of a Gateway: nothing but the proxy, without a right in the cluster and as no root (Pod Security: restricted). */
export function gatewayPod(facts: GatewayPodFacts, options: ProvisioningOptions): V1PodSpec {
  return {
    serviceAccountName: facts.serviceAccount,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: SLEEP_SECONDS + DRAIN_SECONDS + 5,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: UID,
      runAsGroup: UID,
      seccompProfile: { type: 'RuntimeDefault' },
      // Listeners have their own ports, also those below 1024.
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
    },
    topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map(
      (topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { ...facts.selector } },
      }),
    ),
    containers: [container(facts, options)],
    volumes: [identityVolume()],
  };
}

function container(facts: GatewayPodFacts, options: ProvisioningOptions): V1Container {
  const { settings } = facts;
  return {
    name: 'tulle-proxy',
    image: options.image,
    ...(options.imagePullPolicy !== undefined && { imagePullPolicy: options.imagePullPolicy }),
    args: [
      'sidecar',
      `--gateway-name=${facts.namespace}/${facts.gateway}`,
      '--gateway-listen=*',
      `--namespace=${facts.namespace}`,
      `--control-plane=${options.controlPlane}`,
      `--bundle=${BUNDLE_FILE}`,
      `--token-file=${TOKEN_FILE}`,
      `--health=${HEALTH_PORT}`,
      `--admin=127.0.0.1:${ADMIN_PORT}`,
      `--drain=${DRAIN_SECONDS}s`,
      // More is a matter of replicas: by itself it would start one for each core of the node.
      `--workers=${settings.workers ?? 1}`,
      `--log-level=${settings.logLevel ?? 'info'}`,
      ...(settings.accessLog === true ? ['--access-log'] : []),
    ],
    ports: [{ name: 'tulle-health', containerPort: HEALTH_PORT, protocol: 'TCP' }],
    lifecycle: { preStop: { sleep: { seconds: SLEEP_SECONDS } } },
    startupProbe: ask('/readyz', { periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 600 }),
    readinessProbe: ask('/readyz', { periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 3 }),
    livenessProbe: ask('/livez', { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    resources: resourcesOf(settings, options.requests),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
    },
    volumeMounts: [{ name: IDENTITY_VOLUME, mountPath: IDENTITY_FOLDER, readOnly: true }],
  };
}

/** A request above its limit, which the API server would refuse, is lowered. */
function resourcesOf(
  settings: ProxySettings,
  { cpu, memory }: ProvisioningOptions['requests'],
): NonNullable<V1Container['resources']> {
  const { cpuRequest = cpu, memoryRequest = memory, cpuLimit, memoryLimit } = settings;
  const limits = {
    ...(cpuLimit !== undefined && { cpu: cpuLimit }),
    ...(memoryLimit !== undefined && { memory: memoryLimit }),
  };
  return {
    requests: {
      cpu: atMost(cpuRequest, cpuLimit, parseCpu),
      memory: atMost(memoryRequest, memoryLimit, parseMemory),
    },
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

function ask(path: string, times: Partial<V1Probe>): V1Probe {
  return { httpGet: { path, port: HEALTH_PORT, scheme: 'HTTP' }, ...times };
}
