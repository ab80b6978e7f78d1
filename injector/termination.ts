import { atLeast, type KubernetesVersion, SLEEP_ACTION } from './kubernetes-version.ts';
import { applicationContainers, type Placed, type Pod } from './meshed-pod.ts';

const DEFAULT_GRACE_SECONDS = 30;
const LONGEST_SLEEP_SECONDS = 5;
/** Left between the end of a drain and the kubelet's SIGKILL. */
const MARGIN_SECONDS = 1;

/** How a pod ends, from its terminationGracePeriodSeconds. */
export interface Termination {
  /** Seconds in which the endpoint is taken away everywhere, before anything is told to stop; 0: none. */
  readonly sleepSeconds: number;
  /** Application containers that have no preStop of their own. */
  readonly withoutPreStop: readonly Placed[];
  /** What is left for requests in flight. */
  readonly drainSeconds: number;
}

export function termination(pod: Pod, cluster: KubernetesVersion): Termination {
  const grace = pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  const sleepSeconds = atLeast(cluster, SLEEP_ACTION)
    ? Math.min(LONGEST_SLEEP_SECONDS, Math.floor(grace / 4))
    : 0;
  const running = applicationContainers(pod).filter(({ list }) => list === 'containers');
  const sleeps = running.map(({ container }) => container.lifecycle?.preStop?.sleep?.seconds ?? 0);
  return {
    sleepSeconds,
    withoutPreStop: running.filter(({ container }) => container.lifecycle?.preStop == null),
    drainSeconds: Math.max(1, grace - Math.max(sleepSeconds, ...sleeps) - MARGIN_SECONDS),
  };
}
