import type { ObjectKind } from './known-objects.ts';
import type { WatchedKind } from './resource-watch.ts';

const GATEWAY = '/apis/gateway.networking.k8s.io';
const TULLE = '/apis/tulle.dev/v1alpha1';

/** What is watched, in all namespaces; of several versions the newest that the cluster serves. */
export const WATCHED_KINDS: readonly (WatchedKind & { readonly kind: ObjectKind })[] = [
  core('Namespace', '/api/v1/namespaces'),
  core('Service', '/api/v1/services'),
  core('Pod', '/api/v1/pods'),
  core('EndpointSlice', '/apis/discovery.k8s.io/v1/endpointslices'),
  installed('GatewayClass', `${GATEWAY}/v1/gatewayclasses`),
  installed('Gateway', `${GATEWAY}/v1/gateways`),
  installed('ListenerSet', `${GATEWAY}/v1/listenersets`),
  installed('HTTPRoute', `${GATEWAY}/v1/httproutes`),
  installed('GRPCRoute', `${GATEWAY}/v1/grpcroutes`),
  installed(
    'TLSRoute',
    `${GATEWAY}/v1/tlsroutes`,
    `${GATEWAY}/v1alpha3/tlsroutes`,
    `${GATEWAY}/v1alpha2/tlsroutes`,
  ),
  installed('BackendTLSPolicy', `${GATEWAY}/v1/backendtlspolicies`),
  installed('ReferenceGrant', `${GATEWAY}/v1/referencegrants`, `${GATEWAY}/v1beta1/referencegrants`),
  installed('TrafficPolicy', `${TULLE}/trafficpolicies`),
  installed('AccessPolicy', `${TULLE}/accesspolicies`),
  installed('Aggregate', `${TULLE}/aggregates`),
];

function core(kind: ObjectKind, path: string) {
  return { kind, paths: [path], optional: false };
}

/** It comes with definitions that may not be installed. */
function installed(kind: ObjectKind, ...paths: string[]) {
  return { kind, paths, optional: true };
}
