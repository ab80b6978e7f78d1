/** What was read of a cluster; a part that could not be read is undefined, and `unread` says why. */
export interface ClusterFacts {
  /** Of the API server, like v1.36.3. */
  readonly version: string;
  /** Of the kubelets. */
  readonly kubelets: readonly string[];
  /** What an installation does and this user may not, like "create clusterroles". */
  readonly forbidden: readonly string[];
  /** API groups that are served. */
  readonly groups: readonly string[];
  /** CustomResourceDefinitions of the mesh by name, each with its schemas as JSON. */
  readonly crds: ReadonlyMap<string, string>;
  readonly namespaces: readonly NamespaceFacts[];
  readonly pods: readonly PodFacts[];
  /** In tulle-system, by name. */
  readonly deployments: ReadonlyMap<string, DeploymentFacts>;
  /** Names of Services in tulle-system. */
  readonly services: readonly string[];
  /** undefined: there is no such configuration. */
  readonly mutating: WebhookFacts | undefined;
  readonly validating: WebhookFacts | undefined;
  /** The injector's serving certificate (PEM); undefined: not there, or not to be read. */
  readonly servingCertificate: string | undefined;
  /** Text of bundle.pem in each namespace's ConfigMap tulle-trust. */
  readonly bundles: ReadonlyMap<string, string>;
  readonly unread: readonly string[];
}

export interface NamespaceFacts {
  readonly name: string;
  /** The label tulle.dev/inject. */
  readonly inject: string | undefined;
}

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly inject: string | undefined;
  readonly hostNetwork: boolean;
  /** It ended, or is ending. */
  readonly over: boolean;
  /** undefined: it has no proxy. */
  readonly proxy: { readonly version: string | undefined; readonly ready: boolean } | undefined;
}

export interface DeploymentFacts {
  readonly wanted: number;
  readonly ready: number;
  readonly images: readonly string[];
}

export interface WebhookFacts {
  /** caBundle of each webhook as PEM, '' where it is not set. */
  readonly caBundles: readonly string[];
}

/** A CustomResourceDefinition, as far as it is compared. */
export interface Definition {
  readonly spec: { readonly versions: readonly { readonly name: string; readonly schema?: unknown }[] };
}

/** Schemas of a CustomResourceDefinition as JSON, the same whatever the order of their fields. */
export function schemasOf({ spec }: Definition): string {
  return JSON.stringify(
    spec.versions.map(({ name, schema }) => [name, schema]),
    (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .filter(([, one]) => one !== undefined)
              .sort(([a], [b]) => (a < b ? -1 : 1)),
          )
        : value,
  );
}
