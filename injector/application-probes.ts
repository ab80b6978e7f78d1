import type { V1Container, V1HTTPGetAction, V1Probe, V1TCPSocketAction } from '@kubernetes/client-node';
import type { Changes } from './changes.ts';
import { type Operation, replace } from './json-patch.ts';
import { applicationContainers, HEALTH_PORT, type Pod } from './meshed-pod.ts';

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
const HOOKS = ['postStart', 'preStop'] as const;
const REWRITTEN = /^\/probe\/tcp\/(\d{1,5})$/;

/** A request of the kubelet that strict mTLS lets in as plain text; a `tcp` one the proxy itself answers. */
export type KubeletRequest =
  | { readonly port: number; readonly path: string }
  | { readonly port: number; readonly grpc: string }
  | { readonly port: number; readonly tcp: true };

export interface ApplicationProbes {
  readonly requests: readonly KubeletRequest[];
  readonly edits: readonly Operation[];
  /** `CONTAINER.PROBE` and the tcpSocket that it had. */
  readonly rewritten: Readonly<Record<string, V1TCPSocketAction>>;
  readonly warnings: readonly string[];
}

export interface ProbeRules {
  /** Ports that are not captured: their probes reach the application as ever. */
  readonly skipped: readonly number[];
  /** Whether the proxy runs while init containers do. */
  readonly native: boolean;
  readonly strict: boolean;
}

/**
 * What the kubelet asks the application. A captured port accepts connections for an application that is not
 * there, so each tcpSocket probe becomes a request to the proxy, which connects itself. Others stay as they are.
 */
export function applicationProbes(pod: Pod, rules: ProbeRules): ApplicationProbes {
  const requests = new Map<string, KubeletRequest>();
  const edits: Operation[] = [];
  const rewritten: Record<string, V1TCPSocketAction> = {};
  const warnings: string[] = [];
  for (const placed of applicationContainers(pod)) {
    // Without a native sidecar there is no proxy yet that could answer for an init container.
    if (placed.list === 'initContainers' && !rules.native) continue;
    for (const { what, probe } of probesOf(placed.container)) {
      const read = readProbe(placed.container, what, probe, rules);
      if (read.request !== undefined) requests.set(JSON.stringify(read.request), read.request);
      if (read.warning !== undefined) warnings.push(read.warning);
      if (read.request === undefined || !('tcp' in read.request) || probe.tcpSocket == null) continue;
      edits.push(replace([...placed.path, what], throughProxy(probe, read.request.port)));
      rewritten[`${placed.container.name}.${what}`] = probe.tcpSocket;
    }
  }
  return { requests: [...requests.values()], edits, rewritten, warnings };
}

/** Probes, and the hooks that the kubelet calls by HTTP. */
function probesOf({ lifecycle, ...container }: V1Container): { what: string; probe: V1Probe }[] {
  const probes = PROBES.flatMap((what) => {
    const probe = container[what];
    return probe == null ? [] : [{ what, probe }];
  });
  const hooks = HOOKS.flatMap((what) => {
    const httpGet = lifecycle?.[what]?.httpGet;
    return httpGet == null ? [] : [{ what, probe: { httpGet } }];
  });
  return [...probes, ...hooks];
}

interface ReadProbe {
  readonly request?: KubeletRequest;
  readonly warning?: string;
}

function readProbe(container: V1Container, what: string, probe: V1Probe, rules: ProbeRules): ReadProbe {
  const { httpGet, grpc, tcpSocket } = probe;
  if (grpc != null)
    return rules.skipped.includes(grpc.port)
      ? {}
      : { request: { port: grpc.port, grpc: grpc.service ?? '' } };
  const target = httpGet ?? tcpSocket;
  // With a host the kubelet asks somebody else, from its node.
  if (target == null || (target.host ?? '') !== '') return {};
  const port = portNumber(container, target.port);
  const at = `container ${container.name}: ${what}`;
  if (port === undefined)
    return { warning: `${at} names the port ${shown(target.port)}, which the container does not have` };
  const answered = httpGet == null ? undefined : REWRITTEN.exec(httpGet.path ?? '')?.[1];
  if (port === HEALTH_PORT && answered !== undefined)
    return { request: { port: Number(answered), tcp: true } };
  if (rules.skipped.includes(port)) return {};
  return httpGet == null ? { request: { port, tcp: true } } : readHttp(at, httpGet, port, rules.strict);
}

function readHttp(at: string, httpGet: V1HTTPGetAction, port: number, strict: boolean): ReadProbe {
  if (httpGet.scheme === 'HTTPS') {
    const warning = `${at} asks by HTTPS, which strict mTLS refuses; add ${port} to tulle.dev/skip-inbound-ports, or ask by HTTP`;
    return strict ? { warning } : {};
  }
  const path = httpGet.path ?? '/';
  return { request: { port, path: path.startsWith('/') ? path : `/${path}` } };
}

/** As the kubelet finds it: a name among the container's ports, else a number written as text. */
function portNumber(container: V1Container, port: number | string): number | undefined {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? (/^\d{1,5}$/.test(port) ? Number(port) : undefined);
}

function throughProxy({ tcpSocket: _tcpSocket, ...rest }: V1Probe, port: number): V1Probe {
  return { httpGet: { path: `/probe/tcp/${port}`, port: HEALTH_PORT, scheme: 'HTTP' }, ...rest };
}

function shown(port: number | string): string {
  return JSON.stringify(String(port).slice(0, 60));
}

/** The probe as it was before it was rewritten; undefined if it is no longer what was written. */
export function beforeRewrite(
  probe: V1Probe,
  tcpSocket: NonNullable<Changes['tcpProbes']>[string],
): V1Probe | undefined {
  const { httpGet, ...rest } = probe;
  if (httpGet?.port !== HEALTH_PORT || !REWRITTEN.test(httpGet.path ?? '')) return undefined;
  return {
    tcpSocket: { port: tcpSocket.port, ...(tcpSocket.host !== undefined && { host: tcpSocket.host }) },
    ...rest,
  };
}
