import type {
  V1Deployment,
  V1ObjectMeta,
  V1PodDisruptionBudget,
  V1Service,
  V1ServiceAccount,
  V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node';
import { type ProxySettings, parsePodAnnotations } from '../../protocol/pod-annotations.ts';
import { allListeners, type CheckedGateway } from '../registry/kubernetes/checked-gateway.ts';
import { gatewaySpec } from '../registry/kubernetes/gateway-listeners.ts';
import { provisionedName } from '../registry/kubernetes/provisioned-name.ts';
import { gatewayPod } from './gateway-pod.ts';
import type { ProvisioningOptions } from './provisioning-options.ts';

export const GATEWAY_LABEL = 'gateway.networking.k8s.io/gateway-name';
export const MANAGED_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGER = 'tulle';
const CPU_PERCENT = 70;
const MAX_LABEL = 63;

/** All that is provisioned for a Gateway. */
export interface GatewayManifests {
  readonly serviceAccount: V1ServiceAccount;
  readonly service: V1Service;
  readonly deployment: V1Deployment;
  readonly disruptionBudget: V1PodDisruptionBudget;
  readonly autoscaler?: V2HorizontalPodAutoscaler;
}

/** What is to be there for a Gateway; undefined: nothing, since it is deleted, not accepted or has no listener that is. */
export function gatewayManifests(
  gateway: CheckedGateway,
  options: ProvisioningOptions,
): GatewayManifests | undefined {
  const ports = servicePorts(gateway);
  const { namespace, name: gatewayName, deleting } = gateway.document;
  if (deleting || gateway.refused !== undefined || ports.length === 0) return undefined;
  const name = provisionedName(gatewayName);
  const selector = {
    [MANAGED_LABEL]: MANAGER,
    [GATEWAY_LABEL]: gatewayName.length <= MAX_LABEL ? gatewayName : name,
  };
  const metadata = metadataOf(gateway, name, selector);
  const settings = proxySettings(gateway);
  const scaled = options.maxReplicas > options.replicas;
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata,
      automountServiceAccountToken: false,
    },
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type: options.serviceType,
        ipFamilyPolicy: 'PreferDualStack',
        selector,
        ports,
        ...loadBalancerAddress(gateway, options),
      },
    },
    deployment: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        ...(!scaled && { replicas: options.replicas }),
        revisionHistoryLimit: 3,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        selector: { matchLabels: selector },
        template: {
          metadata: {
            // In a namespace of the mesh it would get a sidecar otherwise.
            labels: { ...metadata.labels, 'tulle.dev/inject': 'disabled' },
            ...(metadata.annotations !== undefined && { annotations: metadata.annotations }),
          },
          spec: gatewayPod(
            { namespace, gateway: gatewayName, serviceAccount: name, settings, selector },
            options,
          ),
        },
      },
    },
    disruptionBudget: {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata,
      spec: { maxUnavailable: 1, selector: { matchLabels: selector } },
    },
    ...(scaled && { autoscaler: autoscaler(metadata, name, options) }),
  };
}

/** With the Gateway as owner: when it is deleted, Kubernetes deletes all this. */
function metadataOf(
  { document }: CheckedGateway,
  name: string,
  selector: Readonly<Record<string, string>>,
): V1ObjectMeta {
  const { labels, annotations } = gatewaySpec(document).infrastructure ?? {};
  const { apiVersion, uid } = document.reference;
  return {
    name,
    namespace: document.namespace,
    labels: { ...labels, 'app.kubernetes.io/part-of': 'tulle', ...selector },
    ...(annotations !== undefined && { annotations: { ...annotations } }),
    ownerReferences: [
      { apiVersion, kind: 'Gateway', name: document.name, uid, controller: true, blockOwnerDeletion: false },
    ],
  };
}

/**
 * Annotations about the proxy count as on a pod, but for its image: who may write a Gateway need not have the right
 * to run what he likes.
 */
function proxySettings({ document }: CheckedGateway): ProxySettings {
  const { annotations = {} } = gatewaySpec(document).infrastructure ?? {};
  return parsePodAnnotations(annotations).settings;
}

/** A port for each that accepted listeners have. */
function servicePorts(gateway: CheckedGateway) {
  const byPort = new Map<number, string>();
  for (const { listener, refused } of allListeners(gateway))
    if (refused === undefined && !byPort.has(listener.port)) byPort.set(listener.port, listener.protocol);
  return [...byPort].map(([port, protocol]) => ({
    name: `${protocol.toLowerCase()}-${port}`,
    port,
    targetPort: port,
    protocol: 'TCP',
  }));
}

/** An address that is asked for can be had of a load balancer alone. */
function loadBalancerAddress(
  { document }: CheckedGateway,
  { serviceType }: ProvisioningOptions,
): { loadBalancerIP?: string } {
  const [wanted] = wantedAddresses(document);
  return serviceType === 'LoadBalancer' && wanted !== undefined ? { loadBalancerIP: wanted } : {};
}

/** Addresses that a Gateway asks for by their value. */
export function wantedAddresses(document: CheckedGateway['document']): string[] {
  return (gatewaySpec(document).addresses ?? []).flatMap(({ value = '' }) => (value === '' ? [] : [value]));
}

function autoscaler(
  metadata: V1ObjectMeta,
  name: string,
  { replicas, maxReplicas }: ProvisioningOptions,
): V2HorizontalPodAutoscaler {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata,
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      minReplicas: replicas,
      maxReplicas,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: CPU_PERCENT } },
        },
      ],
    },
  };
}
