/** One of the demo's services. */
export interface DemoService {
  readonly name: string;
  readonly calls: readonly string[];
  /** Who may call it: checked by its sidecars. */
  readonly allow: readonly string[];
  readonly instances: readonly DemoInstance[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface DemoInstance {
  /** Added to each answer, in ms. */
  readonly slowMs?: number;
  /** Share of requests answered 503, 0 to 1. */
  readonly flaky?: number;
}

export const NAMESPACE = 'demo';
export const GATEWAY = 'gateway';

/** A small shop: one instance is slow and one is flaky, as in life. */
export const SERVICES: readonly DemoService[] = [
  { name: 'web', calls: ['orders', 'users'], allow: [GATEWAY], instances: [{}, {}] },
  { name: 'orders', calls: ['payments', 'inventory'], allow: ['web'], instances: [{}, {}, {}] },
  { name: 'payments', calls: [], allow: ['orders'], instances: [{}, { slowMs: 60 }] },
  {
    name: 'inventory',
    calls: [],
    allow: ['orders'],
    instances: [{}, { flaky: 0.3 }],
    annotations: { 'tulle.dev/retries': '2 on connect,503' },
  },
  { name: 'users', calls: [], allow: ['web'], instances: [{}, {}] },
];

/** An arrow of the call graph. */
export interface DemoEdge {
  readonly source: string;
  readonly destination: string;
}

export const EDGES: readonly DemoEdge[] = [
  { source: GATEWAY, destination: 'web' },
  ...SERVICES.flatMap(({ name, calls }) => calls.map((destination) => ({ source: name, destination }))),
];

/** The demo's mesh.yaml, as an object; `endpoints` of a service are its sidecars' inbound addresses. */
export function meshDocument(endpoints: ReadonlyMap<string, readonly string[]>): object {
  return {
    trustDomain: 'demo.test',
    services: SERVICES.map(({ name, allow, annotations }) => ({
      name,
      namespace: NAMESPACE,
      port: 80,
      protocol: 'http',
      serviceAccount: name,
      endpoints: endpoints.get(name) ?? [],
      annotations: { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': allow.join(', '), ...annotations },
    })),
    ...edgeTo('shop', NAMESPACE),
  };
}

/** What a mesh file says of the Gateway `edge`, which sends all to the service `web` of its namespace by one route. */
export function edgeTo(route: string, namespace: string): { routes: object[]; gateway: object[] } {
  return {
    routes: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: route, namespace },
        spec: {
          parentRefs: [{ kind: 'Gateway', name: 'edge' }],
          rules: [{ backendRefs: [{ name: 'web' }] }],
        },
      },
    ],
    gateway: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: { name: 'edge', namespace },
        spec: { listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
      },
    ],
  };
}
