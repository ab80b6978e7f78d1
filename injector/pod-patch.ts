import { parseMtls } from '../protocol/annotations/simple.ts';
import { identityVolume } from '../protocol/identity-volume.ts';
import { type ProxySettings, parsePodAnnotations, strayPodAnnotations } from '../protocol/pod-annotations.ts';
import { formatProblem } from '../protocol/problem.ts';
import { VERSION } from '../protocol/version.ts';
import { type ApplicationProbes, applicationProbes } from './application-probes.ts';
import { captureContainer } from './capture-container.ts';
import { CHANGES_ANNOTATION, type Changes, mergeChanges, readChanges } from './changes.ts';
import type { InjectionConfig, PodNamespace } from './injection-config.ts';
import { add, type Operation, type Path, pointer, replace } from './json-patch.ts';
import { atLeast, NATIVE_SIDECARS } from './kubernetes-version.ts';
import {
  HEALTH_PORT,
  ownContainer,
  type Placed,
  type Pod,
  PROXY_CONTAINER,
  PROXY_LABEL,
  VERSION_ANNOTATION,
} from './meshed-pod.ts';
import { type Standing, standing } from './own-containers.ts';
import { podWarnings } from './pod-warnings.ts';
import { isProbesArgument, probesArgument, proxyContainer } from './proxy-container.ts';
import { proxyResources } from './proxy-resources.ts';
import { skipReason } from './skip-reason.ts';
import { type Termination, termination } from './termination.ts';

/** What becomes of a pod. An empty patch: it is injected already, and nothing has changed since. */
export type Injection =
  | { readonly outcome: 'skipped'; readonly reason: string }
  | { readonly outcome: 'refused'; readonly reason: string }
  | {
      readonly outcome: 'injected';
      readonly patch: readonly Operation[];
      readonly warnings: readonly string[];
    };

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/**
 * Puts the mesh into a pod, or says why not. Level-triggered: applied to its own result it changes nothing, and where
 * another webhook has added a container since, only what that container needs. A wrong annotation is a warning.
 */
export function injectPod(pod: Pod, namespace: PodNamespace, config: InjectionConfig): Injection {
  const reason = skipReason(pod, namespace, config);
  if (reason !== undefined) return { outcome: 'skipped', reason };
  const own = standing(pod, config);
  if (own.kind === 'foreign') return { outcome: 'refused', reason: own.reason };
  const plan = planOf(pod, namespace, config, own);
  const patch = own.kind === 'none' ? insert(pod, plan, config) : update(pod, plan);
  return { outcome: 'injected', patch, warnings: plan.warnings };
}

interface Plan {
  readonly settings: ProxySettings;
  readonly native: boolean;
  readonly mtls: 'strict' | 'permissive';
  readonly probes: ApplicationProbes;
  readonly termination: Termination;
  readonly resources: ReturnType<typeof proxyResources>['resources'];
  readonly warnings: readonly string[];
}

function planOf(pod: Pod, namespace: PodNamespace, config: InjectionConfig, own: Standing): Plan {
  // What is wrong on the namespace is told to who writes the namespace.
  const defaults = parsePodAnnotations(namespace.annotations).settings;
  const annotations = pod.metadata?.annotations ?? {};
  const { settings, problems } = parsePodAnnotations(annotations, defaults);
  const mtls = mtlsOf(namespace);
  const native = own.kind === 'ours' ? own.native : isNative(settings, config);
  const skipped = [HEALTH_PORT, ...(settings.skipInboundPorts ?? [])];
  const probes = applicationProbes(pod, { skipped, native, strict: mtls === 'strict' });
  const { resources, warnings } = proxyResources(pod, settings, config.requests);
  return {
    settings,
    native,
    mtls,
    probes,
    termination: termination(pod, config.cluster),
    resources,
    warnings: [
      ...[...problems, ...strayPodAnnotations(annotations)].map(formatProblem),
      ...warnings,
      ...probes.warnings,
      ...podWarnings(pod),
      ...(native ? [] : plainWarnings(pod, settings, config)),
    ],
  };
}

function mtlsOf({ annotations }: PodNamespace): 'strict' | 'permissive' {
  const read = parseMtls(annotations['tulle.dev/mtls'] ?? '');
  return 'mtls' in read && read.mtls === 'strict' ? 'strict' : 'permissive';
}

function isNative(settings: ProxySettings, config: InjectionConfig): boolean {
  return settings.nativeSidecar !== false && atLeast(config.cluster, NATIVE_SIDECARS);
}

function plainWarnings({ spec }: Pod, settings: ProxySettings, { cluster }: InjectionConfig): string[] {
  const early = (spec.initContainers ?? [])
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('tulle-'));
  const restarts = spec.restartPolicy ?? 'Always';
  return [
    ...(settings.nativeSidecar === true
      ? [
          `tulle.dev/native-sidecar: Kubernetes ${cluster.major}.${cluster.minor} has no native sidecars; 1.29 has`,
        ]
      : []),
    ...(early.length > 0
      ? [`init containers run before the proxy, and call outside the mesh: ${early.join(', ')}`]
      : []),
    ...(restarts === 'Always'
      ? []
      : [`the pod does not complete (restartPolicy ${restarts}) while the proxy runs as a plain container`]),
  ];
}

/** Edits of the application's containers come first: what is inserted shifts their places. */
function insert(pod: Pod, plan: Plan, config: InjectionConfig): Operation[] {
  const proxy = proxyContainer(config, { ...plan, requests: plan.probes.requests });
  const capture = config.cni ? [] : [captureContainer(config, plan.settings, plan.resources)];
  const changed = changeApplication(plan);
  const inits = plan.native ? [...capture, proxy] : capture;
  const first = pod.spec.containers[0]?.name;
  const marksDefault =
    !plan.native && first !== undefined && pod.metadata?.annotations?.[DEFAULT_CONTAINER] === undefined;
  const empty = emptyParents(pod, inits.length > 0);
  const changes = mergeChanges(changed.changes, {
    ...(marksDefault && { defaultContainer: true as const }),
    ...(empty.length > 0 && { empty }),
  });
  const annotations = {
    [VERSION_ANNOTATION]: VERSION,
    ...(marksDefault && { [DEFAULT_CONTAINER]: first }),
    ...(Object.keys(changes).length > 0 && { [CHANGES_ANNOTATION]: JSON.stringify(changes) }),
  };
  return [
    ...(pod.metadata == null ? [add(['metadata'], {})] : []),
    ...addEntries(['metadata', 'labels'], pod.metadata?.labels, { [PROXY_LABEL]: 'enabled' }),
    ...addEntries(['metadata', 'annotations'], pod.metadata?.annotations, annotations),
    ...changed.edits,
    // As a plain container the proxy comes too late for init containers: they run before traffic is captured.
    ...insertItems(
      ['spec', 'initContainers'],
      pod.spec.initContainers,
      inits,
      plan.native ? 'first' : 'last',
    ),
    ...(plan.native ? [] : insertItems(['spec', 'containers'], pod.spec.containers, [proxy], 'first')),
    ...insertItems(['spec', 'volumes'], pod.spec.volumes, [identityVolume()], 'last'),
  ];
}

/** A pod that has its proxy: what containers that came later need. */
function update(pod: Pod, plan: Plan): Operation[] {
  const changed = changeApplication(plan);
  const proxy = ownContainer(pod, PROXY_CONTAINER);
  const at = proxy?.container.args?.findIndex(isProbesArgument) ?? -1;
  const wanted = probesArgument(plan.probes.requests);
  const isTold = proxy === undefined || at < 0 || proxy.container.args?.[at] === wanted;
  if (changed.edits.length === 0 && isTold) return [];
  const annotations = pod.metadata?.annotations;
  const changes = JSON.stringify(mergeChanges(readChanges(annotations), changed.changes));
  return [
    ...(changed.edits.length === 0
      ? []
      : addEntries(['metadata', 'annotations'], annotations, { [CHANGES_ANNOTATION]: changes })),
    ...changed.edits,
    ...(isTold ? [] : [replace([...(proxy?.path ?? []), 'args', at], wanted)]),
  ];
}

function changeApplication({ probes, termination }: Plan): { edits: Operation[]; changes: Changes } {
  const { sleepSeconds, withoutPreStop } = termination;
  const slept = sleepSeconds > 0 ? withoutPreStop : [];
  const empty = slept
    .filter(({ container }) => isEmpty(container.lifecycle))
    .map(({ path }) => pointer([...path, 'lifecycle']));
  return {
    edits: [...probes.edits, ...slept.flatMap((placed) => addPreStop(placed, sleepSeconds))],
    changes: mergeChanges(
      {},
      {
        preStop: slept.map(({ container }) => container.name),
        tcpProbes: probes.rewritten,
        empty,
      },
    ),
  };
}

function addPreStop({ container, path }: Placed, seconds: number): Operation[] {
  return addEntries([...path, 'lifecycle'], container.lifecycle, { preStop: { sleep: { seconds } } });
}

function emptyParents({ metadata, spec }: Pod, addsInits: boolean): string[] {
  const parents: [string, object | undefined][] = [
    ['/metadata', metadata],
    ['/metadata/labels', metadata?.labels],
    ['/metadata/annotations', metadata?.annotations],
    ['/spec/volumes', spec.volumes],
    ...(addsInits ? [['/spec/initContainers', spec.initContainers] as [string, object | undefined]] : []),
  ];
  return parents.filter(([, value]) => isEmpty(value)).map(([path]) => path);
}

function isEmpty(value: object | null | undefined): boolean {
  return value != null && Object.keys(value).length === 0;
}

function addEntries(
  path: Path,
  present: object | null | undefined,
  entries: Record<string, unknown>,
): Operation[] {
  if (present == null) return [add(path, entries)];
  return Object.entries(entries).map(([key, value]) => add([...path, key], value));
}

function insertItems(
  path: Path,
  present: readonly unknown[] | null | undefined,
  items: readonly unknown[],
  where: 'first' | 'last',
): Operation[] {
  if (items.length === 0) return [];
  if (present == null) return [add(path, items)];
  const from = where === 'first' ? 0 : present.length;
  return items.map((item, index) => add([...path, from + index], item));
}
