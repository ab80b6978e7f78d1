import type { InjectionConfig, PodNamespace } from './injection-config.ts';
import { INJECT_LABEL, type Pod } from './meshed-pod.ts';

/** Kubernetes' own: without it no cluster, and no repair of Tulle. */
export const NEVER_INJECTED = ['kube-system', 'kube-node-lease'];

/** Why a pod is left as it is, or undefined. The pod's label wins over its namespace's. */
export function skipReason(pod: Pod, namespace: PodNamespace, config: InjectionConfig): string | undefined {
  const { name } = namespace;
  const label = pod.metadata?.labels?.[INJECT_LABEL];
  if (name !== undefined && (NEVER_INJECTED.includes(name) || name === config.systemNamespace))
    return `namespace ${name} is never injected`;
  if (label === 'disabled') return `the pod has the label ${INJECT_LABEL}: disabled`;
  if (label !== 'enabled' && name !== undefined && namespace.labels[INJECT_LABEL] !== 'enabled')
    return `neither the pod nor its namespace has the label ${INJECT_LABEL}: enabled`;
  if (pod.spec.hostNetwork === true)
    return 'the pod has the network of its node, where nothing can be captured for it alone';
  if (isWindows(pod)) return 'the pod runs on Windows';
  if (pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined)
    return 'the pod mirrors a static pod, which the kubelet has started already';
  return undefined;
}

function isWindows({ spec }: Pod): boolean {
  return spec.os?.name === 'windows' || spec.nodeSelector?.['kubernetes.io/os'] === 'windows';
}
