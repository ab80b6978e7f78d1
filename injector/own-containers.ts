import type { V1Container } from '@kubernetes/client-node';
import { IDENTITY_VOLUME } from '../protocol/identity-volume.ts';
import type { InjectionConfig } from './injection-config.ts';
import {
  CAPTURE_CONTAINER,
  INJECT_LABEL,
  ownContainer,
  type Pod,
  PROXY_CONTAINER,
  PROXY_UID,
} from './meshed-pod.ts';

/** Whether a pod has Tulle's containers already, or somebody else's by their names. */
export type Standing =
  | { readonly kind: 'none' }
  | { readonly kind: 'ours'; readonly native: boolean }
  | { readonly kind: 'foreign'; readonly reason: string };

/**
 * The rest of the mesh takes a pod for meshed by these names. A pod that has them without being it would be called by mTLS
 * that it does not speak, or run outside a mesh that its owner thinks it in.
 */
export function standing(pod: Pod, config: InjectionConfig): Standing {
  const [proxy, capture] = [ownContainer(pod, PROXY_CONTAINER), ownContainer(pod, CAPTURE_CONTAINER)];
  if (proxy === undefined && capture === undefined) {
    const hasVolume = pod.spec.volumes?.some(({ name }) => name === IDENTITY_VOLUME) ?? false;
    return hasVolume ? foreign('volume', IDENTITY_VOLUME) : { kind: 'none' };
  }
  if (proxy === undefined || !isProxy(proxy.container)) return foreign('container', PROXY_CONTAINER);
  const native = proxy.list === 'initContainers';
  if (native && proxy.container.restartPolicy !== 'Always') return foreign('container', PROXY_CONTAINER);
  const isCaptured =
    capture === undefined
      ? config.cni
      : capture.list === 'initContainers' &&
        capture.container.restartPolicy == null &&
        runs(capture.container, 'capture');
  return isCaptured ? { kind: 'ours', native } : foreign('container', CAPTURE_CONTAINER);
}

/** As another user it would capture its own connections. */
function isProxy(container: V1Container): boolean {
  return runs(container, 'sidecar') && container.securityContext?.runAsUser === PROXY_UID;
}

/** With a command of its own a container is not what its arguments say. */
function runs({ command, args }: V1Container, subcommand: string): boolean {
  return (command ?? []).length === 0 && args?.[0] === subcommand;
}

function foreign(what: string, name: string): Standing {
  const meant = `rename it, or keep the pod out of the mesh by its label ${INJECT_LABEL}: disabled`;
  return {
    kind: 'foreign',
    reason: `the ${what} name ${name} is kept for what Tulle injects, and this pod's is something else or not complete; ${meant}`,
  };
}
