import type { ClusterFacts, NamespaceFacts, PodFacts } from './facts.ts';

/** For tests: a cluster that is as it should be, without the mesh, but for what is told. */
export function clusterFacts(told: Partial<ClusterFacts> = {}): ClusterFacts {
  return {
    version: 'v1.36.3',
    kubelets: ['v1.36.3'],
    forbidden: [],
    groups: ['apps', 'gateway.networking.k8s.io'],
    crds: new Map(),
    namespaces: ['default', 'kube-system'].map((name) => namespace(name)),
    pods: [pod('kube-system/dns')],
    deployments: new Map(),
    services: [],
    mutating: undefined,
    validating: undefined,
    servingCertificate: undefined,
    bundles: new Map(),
    unread: [],
    ...told,
  };
}

export function namespace(name: string, inject?: string): NamespaceFacts {
  return { name, inject };
}

/** A pod of NAMESPACE/NAME that runs outside the mesh, but for what is told. */
export function pod(key: string, told: Partial<PodFacts> = {}): PodFacts {
  const [namespaceName = '', name = ''] = key.split('/');
  return {
    namespace: namespaceName,
    name,
    inject: undefined,
    hostNetwork: false,
    over: false,
    proxy: undefined,
    ...told,
  };
}
