import type { V1Container, V1EnvVar, V1Probe, V1ResourceRequirements } from '@kubernetes/client-node';
import { BUNDLE_FILE, IDENTITY_FOLDER, IDENTITY_VOLUME, TOKEN_FILE } from '../protocol/identity-volume.ts';
import type { ProxySettings } from '../protocol/pod-annotations.ts';
import type { KubeletRequest } from './application-probes.ts';
import type { InjectionConfig } from './injection-config.ts';
import {
  ADMIN_PORT,
  HEALTH_PORT,
  INBOUND_PORT,
  OUTBOUND_PORT,
  PROXY_CONTAINER,
  PROXY_UID,
} from './meshed-pod.ts';
import type { Termination } from './termination.ts';

const PROBES_FLAG = '--probes=';

export interface ProxyFacts {
  readonly settings: ProxySettings;
  readonly resources: V1ResourceRequirements;
  readonly mtls: 'strict' | 'permissive';
  readonly requests: readonly KubeletRequest[];
  readonly termination: Termination;
  readonly native: boolean;
}

/** The proxy: a native sidecar (KEP-753), or a container that holds back those after it until it is ready. */
export function proxyContainer(config: InjectionConfig, facts: ProxyFacts): V1Container {
  const { settings, resources, native } = facts;
  return {
    name: PROXY_CONTAINER,
    image: settings.image ?? config.image,
    ...(config.imagePullPolicy !== undefined && { imagePullPolicy: config.imagePullPolicy }),
    args: proxyArguments(config, facts),
    env: [
      fromField('POD_NAMESPACE', 'metadata.namespace'),
      fromField('POD_NAME', 'metadata.name'),
      fromField('POD_IPS', 'status.podIPs'),
      fromField('POD_SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    ],
    ports: [{ name: 'tulle-health', containerPort: HEALTH_PORT, protocol: 'TCP' }],
    ...(native ? { restartPolicy: 'Always' } : { lifecycle: plainLifecycle(facts.termination) }),
    // In strict mode a proxy waits for its first certificate as long as it takes: that is no reason to kill it.
    startupProbe: ask('/readyz', { periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 600 }),
    readinessProbe: ask('/readyz', { periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 3 }),
    // Only for a process that hangs: an overloaded one answers within a minute.
    livenessProbe: ask('/livez', { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      runAsUser: PROXY_UID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [{ name: IDENTITY_VOLUME, mountPath: IDENTITY_FOLDER, readOnly: true }],
  };
}

function proxyArguments(
  config: InjectionConfig,
  { settings, mtls, requests, termination }: ProxyFacts,
): string[] {
  return [
    'sidecar',
    '--pod=$(POD_NAMESPACE)/$(POD_NAME)',
    '--pod-ips=$(POD_IPS)',
    '--service-account=$(POD_SERVICE_ACCOUNT)',
    `--inbound-port=${INBOUND_PORT}`,
    `--outbound-port=${OUTBOUND_PORT}`,
    `--mtls=${mtls}`,
    probesArgument(requests),
    `--health=${HEALTH_PORT}`,
    `--admin=127.0.0.1:${ADMIN_PORT}`,
    `--control-plane=${config.controlPlane}`,
    `--bundle=${BUNDLE_FILE}`,
    `--token-file=${TOKEN_FILE}`,
    `--drain=${termination.drainSeconds}s`,
    `--log-level=${settings.logLevel ?? 'info'}`,
    ...(settings.opaquePorts === undefined ? [] : [`--opaque-ports=${settings.opaquePorts.join(',')}`]),
    ...(settings.workers === undefined ? [] : [`--workers=${settings.workers}`]),
    ...(settings.accessLog === true ? ['--access-log'] : []),
  ];
}

/** `$` is doubled: the kubelet would put the value of a variable where a path of the application has `$(NAME)`. */
export function probesArgument(requests: readonly KubeletRequest[]): string {
  return `${PROBES_FLAG}${JSON.stringify(requests).replaceAll('$', '$$$$')}`;
}

export function isProbesArgument(argument: string): boolean {
  return argument.startsWith(PROBES_FLAG);
}

/** The hook ends when the proxy is ready, and the kubelet starts the next container then. */
function plainLifecycle({ sleepSeconds }: Termination): NonNullable<V1Container['lifecycle']> {
  return {
    postStart: { exec: { command: ['tulle', 'sidecar-wait', '--health', String(HEALTH_PORT)] } },
    ...(sleepSeconds > 0 && { preStop: { sleep: { seconds: sleepSeconds } } }),
  };
}

function ask(path: string, times: Partial<V1Probe>): V1Probe {
  return { httpGet: { path, port: HEALTH_PORT, scheme: 'HTTP' }, ...times };
}

function fromField(name: string, fieldPath: string): V1EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
