import type { V1Container, V1ResourceRequirements } from '@kubernetes/client-node';
import type { ProxySettings } from '../protocol/pod-annotations.ts';
import type { InjectionConfig } from './injection-config.ts';
import { CAPTURE_CONTAINER, HEALTH_PORT, INBOUND_PORT, OUTBOUND_PORT, PROXY_UID } from './meshed-pod.ts';

/**
 * The init container that leads the pod's traffic to the proxy. It has the proxy's resources: it has ended when
 * others run, so that the pod asks for no more by it, and a pod with the QoS class Guaranteed keeps it.
 */
export function captureContainer(
  config: InjectionConfig,
  settings: ProxySettings,
  resources: V1ResourceRequirements,
): V1Container {
  const { skipInboundPorts = [], skipOutboundPorts = [], skipOutboundCidrs = [] } = settings;
  return {
    name: CAPTURE_CONTAINER,
    image: settings.image ?? config.image,
    ...(config.imagePullPolicy !== undefined && { imagePullPolicy: config.imagePullPolicy }),
    args: [
      'capture',
      `--inbound-port=${INBOUND_PORT}`,
      `--outbound-port=${OUTBOUND_PORT}`,
      `--proxy-uid=${PROXY_UID}`,
      `--skip-inbound-ports=${[...new Set([HEALTH_PORT, ...skipInboundPorts])].join(',')}`,
      ...(skipOutboundPorts.length > 0 ? [`--skip-outbound-ports=${skipOutboundPorts.join(',')}`] : []),
      ...(skipOutboundCidrs.length > 0 ? [`--skip-outbound-cidrs=${skipOutboundCidrs.join(',')}`] : []),
    ],
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}
