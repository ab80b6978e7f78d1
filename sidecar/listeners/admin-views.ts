import { X509Certificate } from 'node:crypto';
import type { IdentitySource } from '../identity/identity.ts';
import type { RunningService } from '../routing/services.ts';

/** The running tables: what is listed here is shown, nothing else. */
export function configView(services: Iterable<RunningService>): unknown {
  return {
    services: [...services].map(({ key, resource, cluster }) => ({
      key,
      version: resource?.version,
      protocol: resource?.service.protocol,
      settings: resource?.settings,
      routes: resource?.routes,
      accessPolicies: resource?.access.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
      inUse: cluster?.use,
      endpoints: cluster?.endpoints.map((endpoint) => ({
        address: endpoint.address,
        weight: endpoint.weight,
        zone: endpoint.zone,
        identity: endpoint.identity,
        inFlight: endpoint.inFlight,
        latencyMs: Number(endpoint.ewmaMs.toFixed(3)),
        connections: endpoint.connections,
        idle: endpoint.idleCount,
      })),
    })),
  };
}

/** Own certificate and trusted roots; no key is touched. */
export function certsView(source: IdentitySource | undefined): unknown {
  const identity = source?.current();
  if (identity === undefined) return { identity: null, error: source?.lastError() ?? null };
  return {
    identity: identity.spiffeId,
    chain: certificates(identity.chainPem),
    bundle: certificates(identity.bundlePem),
    error: source?.lastError() ?? null,
  };
}

function certificates(pem: string): unknown[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const certificate = new X509Certificate(block);
    return {
      subject: certificate.subject,
      names: certificate.subjectAltName,
      issuer: certificate.issuer,
      serial: certificate.serialNumber,
      notBefore: certificate.validFromDate.toISOString(),
      notAfter: certificate.validToDate.toISOString(),
    };
  });
}
