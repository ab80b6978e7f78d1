export const SERVICE_TYPES = ['LoadBalancer', 'NodePort', 'ClusterIP'] as const;
export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

/** How proxies of Gateways are run. */
export interface ProvisioningOptions {
  readonly image: string;
  readonly imagePullPolicy?: (typeof PULL_POLICIES)[number];
  readonly serviceType: (typeof SERVICE_TYPES)[number];
  readonly replicas: number;
  /** More than `replicas`: a HorizontalPodAutoscaler chooses between them. */
  readonly maxReplicas: number;
  /** What each asks for where its Gateway does not say. */
  readonly requests: { readonly cpu: string; readonly memory: string };
  /** HOST:PORT that proxies are told. */
  readonly controlPlane: string;
}
