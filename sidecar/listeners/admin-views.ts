import type { X509Certificate } from 'node:crypto';
import type { ClientAuthorities, GatewayListener } from '../../protocol/gateway.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import type { HeaderChanges, Route, RouteRule } from '../../protocol/route.ts';
import type { EndpointHealth } from '../balancing/endpoint-health.ts';
import type { IdentitySource } from '../identity/identity.ts';
import { certificates } from '../identity/read-identity.ts';
import type { RunningService } from '../routing/services.ts';
import type { Circuit, CircuitState } from '../upstream/circuit.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { shownSettings } from './shown-settings.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly reasons: string[];
  /** What people should look at, though it is ready. */
  readonly degraded: string[];
}

/** The running tables as they are shown. */
export interface ConfigView {
  readonly gateway?: object;
  readonly services: readonly ServiceView[];
}

export interface ServiceView {
  readonly key: string;
  readonly version: string | undefined;
  readonly inUse: UseView | undefined;
  readonly endpoints: readonly EndpointView[] | undefined;
}

export interface UseView {
  readonly connections: number;
  readonly pending: number;
  readonly requests: number;
}

export interface EndpointView {
  readonly address: string;
  readonly inFlight: number;
  readonly latencyMs: number;
  readonly connections: number;
  readonly idle: number;
  /** Of an endpoint that is probed. */
  readonly health?: HealthView | undefined;
  /** Of an endpoint that has failed. */
  readonly circuit?: CircuitView | undefined;
}

interface CircuitView {
  readonly state: CircuitState;
  /** Failures in a row, while it is closed. */
  readonly failuresInRow: number;
  /** Why it was ejected last, and for how long. */
  readonly ejected?: { readonly why: string; readonly forMs: number };
  /** Why it is not ejected, though it fails. */
  readonly spared?: string;
  /** The last there were; `at` as ISO 8601. */
  readonly failures: readonly { readonly at: string; readonly result: string }[];
}

interface HealthView {
  readonly healthy: boolean;
  /** The last failure there was; `at` as ISO 8601. */
  readonly lastFailure: { readonly at: string; readonly why: string } | undefined;
}

/** The running tables: what is listed here is shown, nothing else. */
export function configView(
  services: Iterable<RunningService>,
  gateway: GatewayResource | undefined,
): ConfigView {
  return {
    ...(gateway !== undefined && {
      gateway: {
        key: gateway.key,
        version: gateway.version,
        listeners: gateway.listeners.map(withoutKeys),
        routes: gateway.routes.map(withoutValues),
      },
    }),
    services: [...services].map(({ key, resource, cluster }) => ({
      key,
      version: resource?.version,
      protocol: resource?.service.protocol,
      settings: resource && shownSettings(resource.settings),
      routes: resource?.routes.map(withoutValues),
      accessPolicies: resource?.access.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
      inUse: cluster && {
        connections: cluster.use.connections,
        pending: cluster.use.pending,
        requests: cluster.use.requests,
      },
      endpoints: cluster?.endpoints.map((endpoint) => ({
        address: endpoint.address,
        weight: endpoint.weight,
        zone: endpoint.zone,
        identity: endpoint.identity,
        inFlight: endpoint.inFlight,
        latencyMs: Number(endpoint.ewmaMs.toFixed(3)),
        connections: endpoint.connections,
        idle: endpoint.idleCount,
        health: healthView(endpoint, cluster.healthOf(endpoint)),
        circuit: endpoint.circuit && circuitView(endpoint.circuit),
      })),
    })),
  };
}

function healthView(endpoint: Endpoint, health: EndpointHealth | undefined): HealthView | undefined {
  if (health === undefined) return undefined;
  const { lastFailure } = health;
  return {
    healthy: endpoint.healthy,
    lastFailure: lastFailure && { at: new Date(lastFailure.atMs).toISOString(), why: lastFailure.words },
  };
}

function circuitView({ state, streak, why, ejectedMs, spared, failures }: Circuit): CircuitView {
  return {
    state,
    failuresInRow: streak,
    ...(why !== '' && { ejected: { why, forMs: Math.round(ejectedMs) } }),
    ...(spared !== '' && { spared }),
    failures: failures.map(({ result, atMs }) => ({ at: new Date(atMs).toISOString(), result })),
  };
}

/** A header that a route sets may be a credential: its name is shown, its value is not. */
function withoutValues(route: Route): Route {
  const rules = route.rules.map((rule) => ({
    ...withoutHeaderValues(rule),
    ...(rule.policy !== undefined && { policy: { ...rule.policy, set: shownSettings(rule.policy.set) } }),
    backends: rule.backends.map(withoutHeaderValues),
  }));
  return { ...route, rules };
}

type ChangesHeaders = Pick<RouteRule, 'requestHeaders' | 'responseHeaders'>;

function withoutHeaderValues<T extends ChangesHeaders>({ requestHeaders, responseHeaders, ...rest }: T) {
  return {
    ...rest,
    ...(requestHeaders !== undefined && { requestHeaders: namesOf(requestHeaders) }),
    ...(responseHeaders !== undefined && { responseHeaders: namesOf(responseHeaders) }),
  };
}

function namesOf(changes: HeaderChanges): HeaderChanges {
  const hidden = (pairs: HeaderChanges['set']) => pairs?.map(([name]) => [name, '***'] as const) ?? [];
  return { ...changes, set: hidden(changes.set), add: hidden(changes.add) };
}

/** Certificates are public, their keys are not: nothing of what came with a key is shown but what is named here. */
function withoutKeys({ name, port, protocol, hostname, tls, routes }: GatewayListener): object {
  return {
    name,
    port,
    protocol,
    hostname,
    ...(tls !== undefined && {
      tls: {
        mode: tls.mode,
        certificates: tls.certificates.map(({ certificate }) => leafOf(certificate)),
        ...(tls.clientAuthorities !== undefined && {
          clientAuthorities: authoritiesOf(tls.clientAuthorities),
        }),
      },
    }),
    routes,
  };
}

function authoritiesOf({ mode, certificates: pems }: ClientAuthorities): object {
  return { mode, certificates: pems.map(leafOf) };
}

function leafOf(pem: string): unknown {
  try {
    return certificates(pem).slice(0, 1).map(shown)[0];
  } catch {
    return { error: 'is not a certificate in PEM' };
  }
}

/** Own certificate and trusted roots; no key is touched. */
export function certsView(source: IdentitySource | undefined): object {
  const identity = source?.current();
  if (identity === undefined) return { identity: null, error: source?.lastError() ?? null };
  return {
    identity: identity.spiffeId,
    chain: certificates(identity.chainPem).map(shown),
    bundle: certificates(identity.bundlePem).map(shown),
    error: source?.lastError() ?? null,
  };
}

function shown(certificate: X509Certificate): unknown {
  return {
    subject: certificate.subject,
    names: certificate.subjectAltName,
    issuer: certificate.issuer,
    serial: certificate.serialNumber,
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
  };
}
