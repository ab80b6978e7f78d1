/** A workload's name in a certificate (SPIFFE ID, as Istio and Linkerd shape it). */
export interface SpiffeIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const ID = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-z0-9-]{1,63})\/sa\/([a-z0-9.-]{1,253})$/;
const WORKLOAD = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/;

/** `spiffe://TD/ns/NS/sa/SA` of `NS/SA`. Throws a TypeError on anything else. */
export function spiffeId(trustDomain: string, workload: string): string {
  const match = WORKLOAD.exec(workload);
  if (match === null)
    throw new TypeError(`"${workload}" is not NAMESPACE/SERVICEACCOUNT in lower case, like shop/orders`);
  return `spiffe://${trustDomain}/ns/${match[1]}/sa/${match[2]}`;
}

/** The parts of a SPIFFE ID of a workload, or undefined. */
export function parseSpiffeId(uri: string): SpiffeIdentity | undefined {
  const [, trustDomain, namespace, serviceAccount] = ID.exec(uri) ?? [];
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

/** Whether text is `namespace/serviceaccount`. */
export function isWorkload(text: string): boolean {
  return WORKLOAD.test(text);
}

/**
 * Whether `identity` (`namespace/serviceaccount`) is meant by a pattern of `allow`: `web` is the service
 * account web of `ownNamespace`, `payments/checkout` one of another namespace, `payments/*` all of it.
 */
export function matchesClient(pattern: string, ownNamespace: string, identity: string): boolean {
  const full = pattern.includes('/') ? pattern : `${ownNamespace}/${pattern}`;
  if (full.endsWith('/*')) return identity.startsWith(full.slice(0, -1));
  return full === identity;
}
