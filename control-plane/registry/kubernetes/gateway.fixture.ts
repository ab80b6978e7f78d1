import { document, httpRoute, type RawObject } from './cluster.fixture.ts';

export const OUR_CLASS = document('GatewayClass', 'tulle', {
  controllerName: 'tulle.dev/gateway-controller',
});

/** A Gateway of our class. */
export function gateway(key: string, listeners: readonly object[], more: object = {}): RawObject {
  return document('Gateway', key, { gatewayClassName: 'tulle', listeners, ...more });
}

/** A listener of HTTP on port 80. */
export function listener(name: string, more: object = {}): object {
  return { name, port: 80, protocol: 'HTTP', ...more };
}

/** A listener that ends TLS on port 443 with the certificates of Secrets. */
export function secureListener(name: string, refs: readonly object[], more: object = {}): object {
  return listener(name, {
    port: 443,
    protocol: 'HTTPS',
    tls: { mode: 'Terminate', certificateRefs: refs },
    ...more,
  });
}

/** An HTTPRoute for the Gateway gw of namespace edge. */
export function routeTo(key: string, parent: object = {}, spec: object = {}): RawObject {
  const parentRefs = [
    {
      group: 'gateway.networking.k8s.io',
      kind: 'Gateway',
      name: 'gw',
      namespace: 'edge',
      ...parent,
    },
  ];
  return httpRoute(key, { parentRefs, rules: [{ backendRefs: [{ name: 'web', port: 80 }] }], ...spec });
}

/** A ListenerSet for the Gateway gw of namespace edge. */
export function listenerSet(key: string, listeners: readonly object[], meta: object = {}): RawObject {
  const parentRef = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'gw', namespace: 'edge' };
  return document('ListenerSet', key, { parentRef, listeners }, meta);
}

/** A Gateway's spec that takes ListenerSets from namespaces. */
export function allowing(from: string, more: object = {}): object {
  return { allowedListeners: { namespaces: { from, ...more } } };
}
