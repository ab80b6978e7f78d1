import type { V1Container, V1Pod } from '@kubernetes/client-node';

/** Names and numbers by which the parts of Tulle know a pod of the mesh. */
export const PROXY_CONTAINER = 'tulle-proxy';
export const CAPTURE_CONTAINER = 'tulle-capture';
export const INJECT_LABEL = 'tulle.dev/inject';
export const PROXY_LABEL = 'tulle.dev/proxy';
export const VERSION_ANNOTATION = 'tulle.dev/proxy-version';

/** uid and gid of the proxy: traffic of this user is not captured. */
export const PROXY_UID = 2102;
export const INBOUND_PORT = 4143;
export const OUTBOUND_PORT = 4140;
export const ADMIN_PORT = 4190;
export const HEALTH_PORT = 4191;
export const PROXY_PORTS: readonly number[] = [INBOUND_PORT, OUTBOUND_PORT, ADMIN_PORT, HEALTH_PORT];

/** What injecting looks at: of a pod template there may be no metadata, and nothing but spec counts. */
export type Pod = Pick<V1Pod, 'metadata'> & { readonly spec: NonNullable<V1Pod['spec']> };

/** A container of the application, and where it stands in the pod. */
export interface Placed {
  readonly container: V1Container;
  readonly list: 'containers' | 'initContainers';
  readonly path: readonly (string | number)[];
}

export function isReserved(name: string): boolean {
  return name === PROXY_CONTAINER || name === CAPTURE_CONTAINER;
}

/** All containers that are not Tulle's. */
export function applicationContainers(pod: Pod): Placed[] {
  return (['containers', 'initContainers'] as const).flatMap((list) =>
    (pod.spec[list] ?? [])
      .map((container, index) => ({ container, list, path: ['spec', list, index] }))
      .filter(({ container }) => !isReserved(container.name)),
  );
}

/** Where Tulle's container of this name stands, if the pod has it. */
export function ownContainer(pod: Pod, name: string): Placed | undefined {
  for (const list of ['initContainers', 'containers'] as const) {
    const index = (pod.spec[list] ?? []).findIndex((container) => container.name === name);
    const container = pod.spec[list]?.[index];
    if (container !== undefined) return { container, list, path: ['spec', list, index] };
  }
  return undefined;
}
