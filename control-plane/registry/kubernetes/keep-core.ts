import { parsePodAnnotations, strayPodAnnotations } from '../../../protocol/pod-annotations.ts';
import type { KeptEndpoint, KeptNamespace, KeptPod, KeptService, KeptSlice } from './kept-objects.ts';
import type { ObjectProblem } from './object-problem.ts';
import type { ObjectReference } from './object-reference.ts';

/** The container by which a pod is known to be in the mesh. */
const PROXY_CONTAINER = 'tulle-proxy';
const CAPTURE_CONTAINER = 'tulle-capture';
const SKIPPED = /^--skip-inbound-ports=([\d,]+)$/;
/** The proxy's own: outbound, inbound, admin and health. */
const PROXY_PORTS = [4140, 4143, 4190, 4191];
const ANNOTATION_PREFIX = 'tulle.dev/';
const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

/** The part of the API's objects that is read; the API server has checked their shape. */
export interface RawMetadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RawService {
  readonly metadata?: RawMetadata;
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly ipFamilies?: readonly string[];
    readonly selector?: Readonly<Record<string, string>>;
    readonly publishNotReadyAddresses?: boolean;
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly targetPort?: number | string;
      readonly protocol?: string;
      readonly appProtocol?: string;
    }[];
  };
}

export interface RawSlice {
  readonly metadata?: RawMetadata;
  readonly addressType?: string;
  readonly ports?: readonly { name?: string | null; port?: number | null; protocol?: string | null }[] | null;
  readonly endpoints?: readonly RawEndpoint[] | null;
}

interface RawEndpoint {
  readonly addresses?: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
  readonly zone?: string;
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[] | null };
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string };
}

interface RawContainer {
  readonly name: string;
  readonly args?: readonly string[];
  readonly ports?: readonly { name?: string; containerPort: number; protocol?: string }[];
}

export interface RawPod {
  readonly metadata?: RawMetadata;
  readonly spec?: {
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
    readonly containers?: readonly RawContainer[];
    readonly initContainers?: readonly RawContainer[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
  };
}

export interface RawNamespace {
  readonly metadata?: RawMetadata;
}

/** Names an object. Lists of core kinds do not say the kind of their items. */
export function referenceOf(
  apiVersion: string,
  kind: string,
  metadata: RawMetadata | undefined,
): ObjectReference {
  const { name = '', namespace, uid = '' } = metadata ?? {};
  return { apiVersion, kind, ...(namespace !== undefined && { namespace }), name, uid };
}

/** Keeps what is needed of a Service. */
export function keepService({ metadata, spec }: RawService): KeptService {
  const clusterIps = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    reference: referenceOf('v1', 'Service', metadata),
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    created: metadata?.creationTimestamp ?? '',
    annotations: ownAnnotations(metadata),
    external: spec?.type === 'ExternalName',
    clusterIps: clusterIps.filter((ip) => ip !== 'None' && ip !== ''),
    families: spec?.ipFamilies ?? [],
    selector: Object.keys(spec?.selector ?? {}).length === 0 ? undefined : spec?.selector,
    publishNotReady: spec?.publishNotReadyAddresses ?? false,
    ports: (spec?.ports ?? []).filter(isTcp).map(({ name = '', port, targetPort, appProtocol }) => ({
      name,
      port,
      target: targetPort ?? port,
      appProtocol,
    })),
  };
}

/** Keeps what is needed of an EndpointSlice; undefined when it belongs to no Service or names hosts. */
export function keepSlice({ metadata, addressType, ports, endpoints }: RawSlice): KeptSlice | undefined {
  const service = metadata?.labels?.[SERVICE_NAME];
  if (service === undefined || (addressType !== 'IPv4' && addressType !== 'IPv6')) return undefined;
  const namespace = metadata?.namespace ?? '';
  return {
    namespace,
    name: metadata?.name ?? '',
    service,
    family: addressType,
    managed: metadata?.labels?.[MANAGED_BY] === SLICE_CONTROLLER,
    ports: (ports ?? [])
      .filter(isTcp)
      .flatMap(({ name, port }) => (port == null ? [] : [{ name: name ?? '', port }])),
    endpoints: (endpoints ?? []).flatMap((endpoint) => keepEndpoint(endpoint, namespace)),
  };
}

/** What is not said means: ready, serving as it is ready, not terminating (discovery.k8s.io/v1). */
function keepEndpoint(endpoint: RawEndpoint, namespace: string): KeptEndpoint[] {
  const { addresses, conditions, targetRef } = endpoint;
  // All addresses of an endpoint are of one pod and interchangeable: the first is used, as kube-proxy does.
  const address = addresses?.[0];
  if (address === undefined) return [];
  const ready = conditions?.ready ?? true;
  return [
    {
      address,
      ready,
      serving: conditions?.serving ?? ready,
      terminating: conditions?.terminating ?? false,
      zone: endpoint.zone,
      forZones: (endpoint.hints?.forZones ?? []).map(({ name }) => name),
      pod:
        targetRef?.kind === 'Pod' && targetRef.name !== undefined
          ? `${targetRef.namespace ?? namespace}/${targetRef.name}`
          : undefined,
    },
  ];
}

/** Keeps what is needed of a Pod. */
export function keepPod({ metadata, spec, status }: RawPod): KeptPod {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const ips = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP === undefined ? [] : [status.podIP]);
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    ips,
    hostNetwork: spec?.hostNetwork ?? false,
    serviceAccount: spec?.serviceAccountName ?? 'default',
    meshed: containers.some(({ name }) => name === PROXY_CONTAINER),
    plainPorts: plainPorts(containers),
    opaquePorts: parsePodAnnotations(ownAnnotations(metadata)).settings.opaquePorts,
    terminating: metadata?.deletionTimestamp !== undefined,
    finished: status?.phase === 'Succeeded' || status?.phase === 'Failed',
    labels: metadata?.labels ?? {},
    namedPorts: Object.fromEntries(
      containers.flatMap(({ ports }) =>
        (ports ?? [])
          .filter(isTcp)
          .flatMap(({ name, containerPort }) => (name === undefined ? [] : [[name, containerPort]])),
      ),
    ),
  };
}

/** What is wrong in the annotations of a pod of the mesh; others mean nothing. */
export function podProblems({ metadata, spec }: RawPod): ObjectProblem[] {
  const annotations = ownAnnotations(metadata);
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  if (Object.keys(annotations).length === 0 || !containers.some(({ name }) => name === PROXY_CONTAINER))
    return [];
  const reference = referenceOf('v1', 'Pod', metadata);
  const problems = [...parsePodAnnotations(annotations).problems, ...strayPodAnnotations(annotations)];
  return problems.map((problem) => ({ reference, problem, reason: 'Invalid' }));
}

/** What the capture step was told when the pod was made: annotations may have changed since. */
function plainPorts(containers: readonly RawContainer[]): number[] {
  const args = containers.find(({ name }) => name === CAPTURE_CONTAINER)?.args ?? [];
  const skipped = args.flatMap((arg) => SKIPPED.exec(arg)?.[1]?.split(',').map(Number) ?? []);
  return [...new Set([...PROXY_PORTS, ...skipped])];
}

/** Keeps what is needed of a Namespace. */
export function keepNamespace({ metadata }: RawNamespace): KeptNamespace {
  return {
    reference: referenceOf('v1', 'Namespace', metadata),
    name: metadata?.name ?? '',
    annotations: ownAnnotations(metadata),
    labels: metadata?.labels ?? {},
  };
}

function ownAnnotations(metadata: RawMetadata | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata?.annotations ?? {}).filter(([name]) => name.startsWith(ANNOTATION_PREFIX)),
  );
}

/** TCP is what is meant when nothing is said. */
function isTcp({ protocol }: { readonly protocol?: string | null }): boolean {
  return (protocol ?? 'TCP') === 'TCP';
}
