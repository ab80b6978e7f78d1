import type { KubernetesVersion } from './kubernetes-version.ts';

/** What is the same for all pods that one injector injects. */
export interface InjectionConfig {
  readonly image: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** HOST:PORT where sidecars find the control plane. */
  readonly controlPlane: string;
  readonly cluster: KubernetesVersion;
  /** A CNI plugin captures the traffic: no init container with NET_ADMIN. */
  readonly cni: boolean;
  /** What proxies ask for where no annotation says so; quantities as Kubernetes writes them. */
  readonly requests?: { readonly cpu: string; readonly memory: string };
  /** Where Tulle itself runs: never injected. */
  readonly systemNamespace: string;
}

/** The namespace of a pod. Offline there is none. */
export interface PodNamespace {
  readonly name?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
