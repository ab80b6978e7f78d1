import type { ResourceKind, ServiceResource, WorkloadResource } from '../../../protocol/resources.ts';
import { FollowedResources } from './followed-resources.ts';
import { KnownObjects, type ObjectKind } from './known-objects.ts';

/** An object as the API server tells it, with its kind. */
export interface RawObject {
  readonly kind: ObjectKind;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Record<string, unknown>;
}

type Endpoint = Record<string, unknown> & { readonly ip: string };

function metadata(key: string, more: object = {}): RawObject['metadata'] {
  const [namespace = '', name] = key.split('/', 2);
  return {
    ...(name === undefined ? { name: namespace } : { namespace, name }),
    uid: `uid-${key}`,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    managedFields: [{ manager: 'kubectl', operation: 'Update' }],
    ...more,
  };
}

/** A ClusterIP Service of one port 80 that goes to the pods' 8080. */
export function service(key: string, spec: object = {}, meta: object = {}): RawObject & { spec: object } {
  return {
    kind: 'Service',
    metadata: metadata(key, meta),
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.10',
      clusterIPs: ['10.96.0.10'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      selector: { app: key.split('/')[1] ?? '' },
      ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
      ...spec,
    },
  };
}

/** An endpoint of a slice; without `pod` it was written by hand. */
export function endpoint(ip: string, pod?: string, more: object = {}): Endpoint {
  return {
    ip,
    addresses: [ip],
    conditions: { ready: true, serving: true, terminating: false },
    ...(pod !== undefined && { nodeName: 'node', targetRef: { kind: 'Pod', name: pod, uid: `uid-${pod}` } }),
    ...more,
  };
}

/** A slice of the endpoint slice controller for `service`. */
export function slice(
  key: string,
  ofService: string,
  endpoints: readonly Endpoint[],
  more: object = {},
): RawObject {
  return {
    kind: 'EndpointSlice',
    metadata: metadata(key, {
      labels: {
        'kubernetes.io/service-name': ofService,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
    }),
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(({ ip: _ip, ...rest }) => rest),
    ...more,
  } as RawObject;
}

/** A running pod with a sidecar. */
export function pod(
  key: string,
  ip: string,
  app: string,
  more: { meta?: object; spec?: object; status?: object } = {},
): RawObject {
  return {
    kind: 'Pod',
    metadata: metadata(key, { labels: { app }, ...more.meta }),
    spec: {
      serviceAccountName: app,
      containers: [{ name: 'app', image: 'app', ports: [{ name: 'web', containerPort: 8080 }] }],
      initContainers: [
        { name: 'tulle-capture', args: ['capture', '--skip-inbound-ports=4191,9999'] },
        { name: 'tulle-proxy', restartPolicy: 'Always' },
      ],
      ...more.spec,
    },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], ...more.status },
  } as RawObject;
}

export const UNMESHED = { initContainers: [] };

export function namespace(name: string, meta: object = {}): RawObject {
  return { kind: 'Namespace', metadata: metadata(name, meta) };
}

/** An HTTPRoute that sends all to `backends`, with the Service of its parents. */
export function httpRoute(key: string, spec: object, meta: object = {}): RawObject {
  return document('HTTPRoute', key, spec, meta);
}

/** An object of the Gateway API or of Tulle. */
export function document(kind: ObjectKind, key: string, spec: object, meta: object = {}): RawObject {
  const apiVersion = /^(Traffic|Access)Policy|Aggregate/.test(kind)
    ? 'tulle.dev/v1alpha1'
    : 'gateway.networking.k8s.io/v1';
  return { apiVersion, kind, metadata: metadata(key, { generation: 1, ...meta }), spec } as RawObject;
}

/** A parentRef to a Service. */
export function toService(name: string, more: object = {}): object {
  return { group: '', kind: 'Service', name, ...more };
}

/** Everything in memory, told object by object. */
export class TestCluster {
  readonly objects = new KnownObjects();
  readonly followed = new FollowedResources(this.objects);

  constructor(...first: RawObject[]) {
    this.put(...first);
  }

  /** Tells objects; what changed of the resources that are followed. */
  put(...objects: RawObject[]): string[] {
    for (const object of objects) this.objects.put(object.kind, keyOf(object), object);
    return this.settle();
  }

  remove(...objects: RawObject[]): string[] {
    for (const object of objects) this.objects.remove(object.kind, keyOf(object));
    return this.settle();
  }

  follow(...names: `${ResourceKind} ${string}`[]): void {
    for (const name of names) this.followed.follow(...(name.split(' ', 2) as [ResourceKind, string])); // as the type says
  }

  service(key: string, peer = ''): ServiceResource | undefined {
    return this.get('service', key, peer) as ServiceResource | undefined; // what a service key holds
  }

  workload(key: string): WorkloadResource | undefined {
    return this.get('workload', key) as WorkloadResource | undefined; // what a workload key holds
  }

  get(kind: ResourceKind, key: string, peer = '') {
    const view = this.followed.view(kind, key);
    return view?.byNamespace.get(peer) ?? view?.resource;
  }

  /** `Kind ns/name: field reason`. */
  problems(): string[] {
    return this.objects
      .problems()
      .map(({ reference: { kind, namespace: ns, name }, problem, reason }) => {
        const where = ns === undefined ? name : `${ns}/${name}`;
        return `${kind} ${where}: ${problem.field} ${reason}`;
      })
      .sort();
  }

  private settle(): string[] {
    return this.followed
      .update(this.objects.settle())
      .map(({ kind, key }) => `${kind} ${key}`)
      .sort();
  }
}

function keyOf({ metadata: { namespace: ns, name } }: RawObject): string {
  return ns === undefined ? name : `${ns}/${name}`;
}
