import type { V1Probe } from '@kubernetes/client-node';
import { IDENTITY_VOLUME } from '../protocol/identity-volume.ts';
import { beforeRewrite } from './application-probes.ts';
import { CHANGES_ANNOTATION, type Changes, readChanges } from './changes.ts';
import { type Operation, type Path, pointer, remove, replace } from './json-patch.ts';
import {
  applicationContainers,
  isReserved,
  ownContainer,
  type Placed,
  type Pod,
  PROXY_CONTAINER,
  PROXY_LABEL,
  VERSION_ANNOTATION,
} from './meshed-pod.ts';

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** Takes out of a pod what injecting put in; undefined if it is not injected. What was edited since stays. */
export function uninjectPod(pod: Pod): Operation[] | undefined {
  if (ownContainer(pod, PROXY_CONTAINER) === undefined) return undefined;
  const changes = readChanges(pod.metadata?.annotations);
  const takes = new Taking(changes.empty ?? []);
  const annotations = [
    VERSION_ANNOTATION,
    CHANGES_ANNOTATION,
    ...(changes.defaultContainer ? [DEFAULT_CONTAINER] : []),
  ];
  return [
    ...applicationContainers(pod).flatMap((placed) => restore(placed, changes, takes)),
    ...takes.items(['spec', 'initContainers'], pod.spec.initContainers, ({ name }) => isReserved(name)),
    ...takes.items(['spec', 'containers'], pod.spec.containers, ({ name }) => isReserved(name)),
    ...takes.items(['spec', 'volumes'], pod.spec.volumes, ({ name }) => name === IDENTITY_VOLUME),
    ...takeMetadata(pod, annotations, takes),
  ];
}

function takeMetadata({ metadata }: Pod, annotations: readonly string[], takes: Taking): Operation[] {
  const { labels, annotations: present, ...rest } = metadata ?? {};
  const fromLabels = takes.entries(['metadata', 'labels'], labels, [PROXY_LABEL]);
  const fromAnnotations = takes.entries(['metadata', 'annotations'], present, annotations);
  const isLeft = (operations: Operation[], path: Path) =>
    !operations.some((one) => one.path === pointer(path));
  const leaves =
    Object.keys(rest).length > 0 ||
    (labels !== undefined && isLeft(fromLabels, ['metadata', 'labels'])) ||
    (present !== undefined && isLeft(fromAnnotations, ['metadata', 'annotations'])) ||
    takes.wasEmpty(['metadata']);
  return leaves ? [...fromLabels, ...fromAnnotations] : [remove(['metadata'])];
}

function restore({ container, path }: Placed, changes: Changes, takes: Taking): Operation[] {
  const probes = Object.entries(changes.tcpProbes ?? {}).flatMap(([name, tcpSocket]) => {
    const what = (['startupProbe', 'readinessProbe', 'livenessProbe'] as const).find(
      (one) => name === `${container.name}.${one}`,
    );
    const probe: V1Probe | undefined = what && container[what];
    const before = probe && beforeRewrite(probe, tcpSocket);
    return what === undefined || before === undefined ? [] : [replace([...path, what], before)];
  });
  const hasOurs = changes.preStop?.includes(container.name) && container.lifecycle?.preStop?.sleep != null;
  return [
    ...probes,
    ...(hasOurs ? takes.entries([...path, 'lifecycle'], container.lifecycle, ['preStop']) : []),
  ];
}

/** Removals after which a mapping or list that was made for what is removed is gone too. */
class Taking {
  private readonly empty: readonly string[];

  constructor(empty: readonly string[]) {
    this.empty = empty;
  }

  wasEmpty(path: Path): boolean {
    return this.empty.includes(pointer(path));
  }

  entries(path: Path, present: object | undefined, keys: readonly string[]): Operation[] {
    const taken = Object.keys(present ?? {}).filter((key) => keys.includes(key));
    if (taken.length === 0) return [];
    const all = taken.length === Object.keys(present ?? {}).length;
    return all && !this.wasEmpty(path) ? [remove(path)] : taken.map((key) => remove([...path, key]));
  }

  /** From the last to the first, so that places before it stay. */
  items<T>(path: Path, present: readonly T[] | undefined, isTaken: (item: T) => boolean): Operation[] {
    const places = (present ?? []).flatMap((item, index) => (isTaken(item) ? [index] : [])).reverse();
    if (places.length === 0) return [];
    const all = places.length === present?.length;
    return all && !this.wasEmpty(path) ? [remove(path)] : places.map((index) => remove([...path, index]));
  }
}
