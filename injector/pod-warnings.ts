import { applicationContainers, type Pod, PROXY_PORTS, PROXY_UID } from './meshed-pod.ts';

/** What in the application stands in the proxy's way. */
export function podWarnings(pod: Pod): string[] {
  return applicationContainers(pod).flatMap(({ container }) => {
    const uid = container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser;
    const taken = (container.ports ?? []).filter(({ containerPort }) => PROXY_PORTS.includes(containerPort));
    return [
      ...(uid === PROXY_UID
        ? [
            `container ${container.name} runs as user ${PROXY_UID}, which is the proxy's: its calls are outside the mesh; choose another runAsUser`,
          ]
        : []),
      ...taken.map(
        ({ containerPort }) =>
          `container ${container.name} has the port ${containerPort}, which is the proxy's; choose another`,
      ),
    ];
  });
}
