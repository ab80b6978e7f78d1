import type { GatewayListener, ListenerCertificate } from '../../../protocol/gateway.ts';
import type { Problem } from '../../../protocol/problem.ts';
import { routeKinds, SERVED_PROTOCOLS } from './allowed-routes.ts';
import { type CheckedClientAuthorities, checkClientAuthorities } from './client-authorities.ts';
import { endsTls, gatewaySpec, hostnameOf, type Listener } from './gateway-listeners.ts';
import type { KeptDocument } from './kept-objects.ts';
import { type CertificateWorld, resolveCertificate } from './listener-certificates.ts';
import { namerOf } from './reference-grants.ts';

/** Admin and health: a gateway's proxy has them itself. */
const PROXY_PORTS: readonly number[] = [4190, 4191];

/** Of a Gateway with its ListenerSets: each may be a port to listen at and a certificate to hold. */
const MAX_LISTENERS = 1_024;

/** Something wrong in a Gateway or ListenerSet, with the reason of the condition that says so. */
export interface Fault {
  readonly reason:
    | 'UnsupportedProtocol'
    | 'PortUnavailable'
    | 'TooManyListeners'
    | 'ProtocolConflict'
    | 'HostnameConflict'
    | 'InvalidRouteKinds'
    | 'InvalidCertificateRef'
    | 'RefNotPermitted'
    | 'InvalidCACertificateRef'
    | 'InvalidCACertificateKind'
    | 'NoValidCACertificate'
    | 'InvalidParameters'
    | 'UnsupportedAddress'
    | 'NotAllowed'
    | 'ParentNotAccepted';
  readonly problem: Problem;
}

/** A listener of a Gateway or a ListenerSet, and what becomes of it. */
export interface CheckedListener {
  readonly listener: Listener;
  /** Its name among all listeners of the Gateway. */
  readonly key: string;
  /** Kinds of the routes that it takes. */
  readonly kinds: readonly string[];
  /** Why it is not accepted: nothing of it is served, and no route is attached to it. */
  readonly refused: Fault | undefined;
  /** What it refers to and cannot have; the rest is served. */
  readonly unresolved: readonly Fault[];
  readonly certificates: readonly ListenerCertificate[];
  /** What clients are checked by; absent: they are not asked for a certificate. */
  readonly clients?: CheckedClientAuthorities;
  /** A Secret or a ConfigMap of it has not been read yet: in a moment more is known. */
  readonly pending: boolean;
}

/** A Gateway or a ListenerSet. */
export interface ListenerOwner {
  readonly document: KeptDocument;
  readonly listeners: readonly CheckedListener[];
}

/** What the listeners of a ListenerSet stand behind. */
interface ListenersBefore {
  readonly gateway: KeptDocument;
  /** Listeners of the Gateway and of older ListenerSets: what they have is theirs. */
  readonly claims: readonly Listener[];
}

/** Checks the listeners of a Gateway, or those of a ListenerSet after what is `before` it: each and against each other. */
export function checkListeners(
  owner: KeptDocument,
  world: CertificateWorld,
  before?: ListenersBefore,
): CheckedListener[] {
  const listeners = gatewaySpec(owner).listeners ?? [];
  const gateway = before?.gateway ?? owner;
  const claims = before?.claims ?? [];
  const prefix = before === undefined ? '' : `${owner.namespace}/${owner.name}/`;
  const lost = (one: Listener, index: number) => tooMany(index, claims) ?? taken(one, index, claims);
  const free = listeners.filter((one, index) => lost(one, index) === undefined);
  return listeners.map((listener, index) => {
    const kinds = routeKinds(listener);
    const certificates = endsTls(listener) ? certificatesOf(listener, index, owner, world) : NO_CERTIFICATES;
    const clients = checkClientAuthorities(listener, gateway, world);
    return {
      listener,
      key: `${prefix}${listener.name}`,
      kinds: kinds.taken,
      refused:
        lost(listener, index) ??
        refusal(listener, index) ??
        conflict(listener, index, free) ??
        clients?.refused,
      unresolved: [
        ...kinds.invalid.map((kind) => invalidKind(kind, index, listener)),
        ...certificates.faults,
        ...(clients?.faults ?? []),
      ],
      certificates: certificates.found,
      ...(clients !== undefined && { clients }),
      pending: certificates.pending || clients?.pending === true,
    };
  });
}

/** Whether clients are served at a listener. */
export function isServed({ refused, kinds, listener, certificates, clients }: CheckedListener): boolean {
  if (refused !== undefined || kinds.length === 0) return false;
  // Whoever asks for clients' certificates must not be served without.
  if (clients !== undefined && clients.authorities.certificates.length === 0) return false;
  return !endsTls(listener) || certificates.length > 0;
}

/** The listener as its gateway is told of it, without its routes. */
export function toldListener({ key, listener, certificates, clients }: CheckedListener): GatewayListener {
  const { port, protocol } = listener;
  const hostname = hostnameOf(listener);
  return {
    name: key,
    port,
    protocol: protocol as GatewayListener['protocol'], // served
    ...(hostname !== undefined && { hostname }),
    ...(protocol !== 'HTTP' && {
      tls: {
        mode: endsTls(listener) ? ('Terminate' as const) : ('Passthrough' as const),
        certificates,
        ...(clients !== undefined && { clientAuthorities: clients.authorities }),
      },
    }),
  };
}

function fault(reason: Fault['reason'], field: string, value: string, message: string, meant: string): Fault {
  return { reason, problem: { severity: 'error', field, value, message, meant } };
}

function refusal(listener: Listener, index: number): Fault | undefined {
  const { protocol, port } = listener;
  const field = `spec.listeners[${index}].protocol`;
  if (!SERVED_PROTOCOLS.includes(protocol))
    return fault(
      'UnsupportedProtocol',
      field,
      JSON.stringify(protocol),
      'is not a protocol that is served',
      `write ${SERVED_PROTOCOLS.join(', ')}`,
    );
  if (PROXY_PORTS.includes(port))
    return fault(
      'PortUnavailable',
      `spec.listeners[${index}].port`,
      `${port}`,
      "is a port of the gateway's own",
      'write another one',
    );
  return undefined;
}

function tooMany(index: number, claims: readonly Listener[]): Fault | undefined {
  if (claims.length + index < MAX_LISTENERS) return undefined;
  return fault(
    'TooManyListeners',
    `spec.listeners[${index}]`,
    '',
    `is more than the ${MAX_LISTENERS} listeners that a Gateway can have with its ListenerSets`,
    'use another Gateway',
  );
}

/**
 * Of what the Gateway or an older ListenerSet has, a ListenerSet gets nothing, whether it is served there or not. Whose it
 * is, its owner need not learn.
 */
function taken(listener: Listener, index: number, claims: readonly Listener[]): Fault | undefined {
  const { port, protocol } = listener;
  const field = `spec.listeners[${index}]`;
  const whose = 'the Gateway or an older ListenerSet';
  const there = claims.filter((one) => one.port === port && one.protocol !== 'UDP' && protocol !== 'UDP');
  if (there.some((one) => wireOf(one) !== wireOf(listener)))
    return fault(
      'ProtocolConflict',
      `${field}.protocol`,
      protocol,
      `cannot be spoken on port ${port}, where ${whose} speaks another protocol`,
      'choose another port',
    );
  const hostname = hostnameOf(listener);
  if (!there.some((one) => hostnameOf(one) === hostname)) return undefined;
  return fault(
    'HostnameConflict',
    `${field}.hostname`,
    hostname === undefined ? '' : JSON.stringify(hostname),
    `${claimWords(hostname, port)} is claimed by ${whose}`,
    'choose another hostname or port',
  );
}

/** What a connection begins with: on one port it is the same for all. */
function wireOf({ protocol }: Listener): string {
  return protocol === 'HTTPS' ? 'TLS' : protocol;
}

function claimWords(hostname: string | undefined, port: number): string {
  return `${hostname === undefined ? 'every host' : 'this host'} on port ${port}`;
}

/** No picking one of the conflicting listeners as the winner (Gateway API, Gateway.spec.listeners). */
function conflict(listener: Listener, index: number, listeners: readonly Listener[]): Fault | undefined {
  const { port, protocol } = listener;
  const others = listeners.filter(
    (one) => one !== listener && one.port === port && SERVED_PROTOCOLS.includes(one.protocol),
  );
  const field = `spec.listeners[${index}]`;
  const other = others.find((one) => (one.protocol === 'HTTP') !== (protocol === 'HTTP'));
  if (other !== undefined)
    return fault(
      'ProtocolConflict',
      `${field}.protocol`,
      protocol,
      `is spoken on port ${port}, where listener ${other.name} speaks ${other.protocol}`,
      'give them different ports',
    );
  const hostname = hostnameOf(listener);
  const same = others.find((one) => hostnameOf(one) === hostname);
  if (same === undefined) return undefined;
  return fault(
    'HostnameConflict',
    `${field}.hostname`,
    hostname === undefined ? '' : JSON.stringify(hostname),
    `${claimWords(hostname, port)} is also claimed by listener ${same.name}`,
    'give them different hostnames or ports',
  );
}

function invalidKind(kind: string, index: number, { protocol, name }: Listener): Fault {
  const served = routeKinds({ name, port: 0, protocol }).taken;
  return fault(
    'InvalidRouteKinds',
    `spec.listeners[${index}].allowedRoutes.kinds`,
    JSON.stringify(kind),
    `is not a kind of route that a listener of ${protocol} can have`,
    served.length === 0 ? '' : `write ${served.join(', ')}`,
  );
}

interface FoundCertificates {
  readonly found: readonly ListenerCertificate[];
  readonly faults: readonly Fault[];
  readonly pending: boolean;
}

const NO_CERTIFICATES: FoundCertificates = { found: [], faults: [], pending: false };

function certificatesOf(
  { tls }: Listener,
  index: number,
  owner: KeptDocument,
  world: CertificateWorld,
): FoundCertificates {
  const refs = tls?.certificateRefs ?? [];
  const field = `spec.listeners[${index}].tls.certificateRefs`;
  const meant = 'name a Secret of type kubernetes.io/tls that it may use';
  if (refs.length === 0)
    return {
      ...NO_CERTIFICATES,
      faults: [fault('InvalidCertificateRef', field, '', 'names no Secret', meant)],
    };
  const resolved = refs.map((ref) => resolveCertificate(ref, namerOf(owner), world));
  return {
    found: resolved.flatMap(({ certificate }) => certificate ?? []),
    pending: resolved.some(({ pending }) => pending === true),
    faults: resolved.flatMap(({ wrong }, at) =>
      wrong === undefined ? [] : fault(wrong.reason, `${field}[${at}]`, wrong.value, wrong.message, meant),
    ),
  };
}
