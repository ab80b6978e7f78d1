import { createHash } from 'node:crypto';
import {
  AppsV1Api,
  AutoscalingV2Api,
  CoreV1Api,
  PolicyV1Api,
  type V1Deployment,
  type V1ObjectMeta,
  type V1Service,
} from '@kubernetes/client-node';
import { type ApiServer, reasonOf, statusOf } from '../kubernetes/api-server.ts';
import { type Followed, follow } from '../kubernetes/follow.ts';
import type { Log } from '../log.ts';
import type { CheckedGateway } from '../registry/kubernetes/checked-gateway.ts';
import type { KnownGateways } from '../registry/kubernetes/known-gateways.ts';
import { provisionedName } from '../registry/kubernetes/provisioned-name.ts';
import { WorkQueue } from '../work-queue.ts';
import {
  GATEWAY_LABEL,
  type GatewayManifests,
  gatewayManifests,
  MANAGED_LABEL,
  MANAGER,
} from './gateway-manifests.ts';
import type { ProvisioningOptions } from './provisioning-options.ts';

/** Whatever else was changed by hand is put right after so long. */
const RESYNC_MS = 5 * 60_000;

export interface GatewayProvisionerOptions {
  readonly api: ApiServer;
  readonly mayWrite: () => boolean;
  readonly gateways: KnownGateways;
  /** Namespaces that are this mesh's. */
  readonly inScope: (namespace: string) => boolean;
  readonly provisioning: ProvisioningOptions;
  /** What `state` says has changed. */
  readonly onChange: () => void;
  readonly log: Log;
}

interface ProvisionedAddress {
  readonly type: 'IPAddress' | 'Hostname';
  readonly value: string;
}

/** What there is for a Gateway. */
export interface ProvisionedState {
  /** Replicas that serve. */
  readonly available: number;
  readonly addresses: readonly ProvisionedAddress[];
  /** Why something could not be made, in words. */
  readonly problem?: string;
}

export interface GatewayProvisioner {
  /** undefined: it is not known yet. */
  state(key: string): ProvisionedState | undefined;
  /** Gateways may have changed. */
  look(): void;
  close(): void;
}

/** Keeps what Gateways need to be served: whatever happened, it is looked at and put right. */
export function provisionGateways(options: GatewayProvisionerOptions): GatewayProvisioner {
  return new Provisioner(options);
}

interface Applied {
  readonly hash: string;
  /** Of the Deployment as it was answered. */
  readonly generation: number;
}

class Provisioner implements GatewayProvisioner {
  private readonly options: GatewayProvisionerOptions;
  private readonly core: CoreV1Api;
  private readonly apps: AppsV1Api;
  private readonly policy: PolicyV1Api;
  private readonly autoscaling: AutoscalingV2Api;
  private readonly deployments: Followed<V1Deployment>;
  private readonly services: Followed<V1Service>;
  private readonly applied = new Map<string, Applied>();
  /** Hashes of what was applied last, whether it was taken or not. */
  private readonly tried = new Map<string, string>();
  private readonly hashes = new WeakMap<CheckedGateway, string>();
  private readonly problems = new Map<string, string>();
  private readonly queue: WorkQueue;
  private readonly resync: NodeJS.Timeout;

  constructor(options: GatewayProvisionerOptions) {
    this.options = options;
    const { api, log } = options;
    this.core = api.client(CoreV1Api);
    this.apps = api.client(AppsV1Api);
    this.policy = api.client(PolicyV1Api);
    this.autoscaling = api.client(AutoscalingV2Api);
    this.queue = new WorkQueue({
      work: (key) => this.apply(key),
      onFailure: (key, error) => this.failed(key, error),
    });
    const labelSelector = `${MANAGED_LABEL}=${MANAGER},${GATEWAY_LABEL}`;
    const common = { api, log, labelSelector, onListed: () => this.look() };
    this.deployments = follow<V1Deployment>({
      ...common,
      path: '/apis/apps/v1/deployments',
      list: () => this.apps.listDeploymentForAllNamespaces({ labelSelector }),
      onChange: ({ metadata }) => this.seen(metadata, true),
    });
    this.services = follow<V1Service>({
      ...common,
      path: '/api/v1/services',
      list: () => this.core.listServiceForAllNamespaces({ labelSelector }),
      onChange: ({ metadata }) => this.seen(metadata, false),
    });
    this.resync = setInterval(() => {
      this.applied.clear();
      this.look();
    }, RESYNC_MS);
  }

  state(key: string): ProvisionedState | undefined {
    if (!this.listed()) return undefined;
    const [namespace = '', gateway = ''] = key.split('/', 2);
    const name = provisionedName(gateway);
    const problem = this.problems.get(key);
    return {
      available: this.deployments.get(name, namespace)?.status?.availableReplicas ?? 0,
      addresses: addressesOf(this.services.get(name, namespace)),
      ...(problem !== undefined && { problem }),
    };
  }

  look(): void {
    if (!this.listed()) return; // what is there is not known yet
    const there = new Set<string>();
    for (const [key] of this.options.gateways.all()) {
      there.add(key);
      const hash = this.wantedHash(key);
      if (hash === undefined) continue;
      const failed = this.queue.isDelayed(key) && this.tried.get(key) === hash;
      if (!failed && this.applied.get(key)?.hash !== hash) this.queue.add(key);
    }
    for (const key of this.tried.keys()) if (!there.has(key)) this.forget(key);
    this.options.onChange();
  }

  close(): void {
    clearInterval(this.resync);
    this.queue.close();
    this.deployments.close();
    this.services.close();
  }

  private listed(): boolean {
    return this.deployments.listed() && this.services.listed();
  }

  private forget(key: string): void {
    this.applied.delete(key);
    this.tried.delete(key);
    this.problems.delete(key);
  }

  /** Worked out once for each state of a Gateway. */
  private wantedHash(key: string): string | undefined {
    const gateway = this.options.gateways.gateway(key);
    if (gateway === undefined || !this.options.inScope(gateway.document.namespace)) return undefined;
    const known = this.hashes.get(gateway);
    if (known !== undefined) return known;
    const manifests = this.manifests(key);
    if (manifests === undefined) return undefined;
    const hash = hashOf(manifests);
    this.hashes.set(gateway, hash);
    return hash;
  }

  private manifests(key: string): GatewayManifests | undefined {
    const { gateways, inScope, provisioning } = this.options;
    const gateway = gateways.gateway(key);
    if (gateway === undefined || !inScope(gateway.document.namespace)) return undefined;
    return gatewayManifests(gateway, provisioning);
  }

  /** A Deployment or Service changed; whether by us is seen by its generation, or by its being gone. */
  private seen(metadata: V1ObjectMeta | undefined, isDeployment: boolean): void {
    const owner = metadata?.ownerReferences?.find(({ kind }) => kind === 'Gateway');
    const { name = '', namespace = '' } = metadata ?? {};
    if (owner === undefined) return;
    const key = `${namespace}/${owner.name}`;
    const there = (isDeployment ? this.deployments : this.services).get(name, namespace);
    const applied = this.applied.get(key);
    const changed = isDeployment && (metadata?.generation ?? 0) > (applied?.generation ?? 0);
    if (applied !== undefined && (there === undefined || changed)) {
      this.applied.delete(key);
      this.queue.add(key);
    }
    this.options.onChange();
  }

  private async apply(key: string): Promise<void> {
    const manifests = this.manifests(key);
    if (manifests === undefined || !this.options.mayWrite()) return;
    const hash = hashOf(manifests);
    this.tried.set(key, hash);
    const { serviceAccount, service, deployment, disruptionBudget, autoscaler } = manifests;
    const { name = '', namespace = '' } = deployment.metadata ?? {};
    const found = await this.found(name, namespace);
    for (const [kind, there] of Object.entries(found)) {
      if (there === undefined || isOwnedBy(there.metadata, deployment.metadata)) continue;
      throw new Error(
        `${kind} ${namespace}/${name} is there and not of this Gateway: rename it, or give the Gateway another name`,
      );
    }
    const isThere = Object.values(found).some((there) => there !== undefined);
    const common = { name, namespace, fieldManager: MANAGER, force: isThere };
    let generation = 0;
    const writes: (() => Promise<unknown>)[] = [
      () => this.core.patchNamespacedServiceAccount({ ...common, body: serviceAccount }),
      () => this.core.patchNamespacedService({ ...common, body: service }),
      async () => {
        const { metadata } = await this.apps.patchNamespacedDeployment({ ...common, body: deployment });
        generation = metadata?.generation ?? 0;
      },
      () => this.policy.patchNamespacedPodDisruptionBudget({ ...common, body: disruptionBudget }),
    ];
    if (autoscaler !== undefined)
      writes.push(() =>
        this.autoscaling.patchNamespacedHorizontalPodAutoscaler({ ...common, body: autoscaler }),
      );
    for (const write of writes) {
      if (!this.options.mayWrite()) return;
      await write();
    }
    this.applied.set(key, { hash, generation });
    if (this.problems.delete(key)) this.options.onChange();
  }

  /** What has the name of what is provisioned, whosever it is: to apply it would make it the Gateway's, identity and all. */
  private async found(name: string, namespace: string): Promise<Record<string, Existing | undefined>> {
    const object = { name, namespace };
    const [ServiceAccount, Service, Deployment, PodDisruptionBudget, HorizontalPodAutoscaler] =
      await Promise.all([
        existing(this.core.readNamespacedServiceAccount(object)),
        existing(this.core.readNamespacedService(object)),
        existing(this.apps.readNamespacedDeployment(object)),
        existing(this.policy.readNamespacedPodDisruptionBudget(object)),
        this.isScaled()
          ? existing(this.autoscaling.readNamespacedHorizontalPodAutoscaler(object))
          : undefined,
      ]);
    return { ServiceAccount, Service, Deployment, PodDisruptionBudget, HorizontalPodAutoscaler };
  }

  private isScaled(): boolean {
    const { maxReplicas, replicas } = this.options.provisioning;
    return maxReplicas > replicas;
  }

  private failed(key: string, error: unknown): void {
    const problem = reasonOf(error);
    if (this.problems.get(key) === problem) return;
    this.problems.set(key, problem);
    this.options.log.warn({ gateway: key, error: problem }, 'a Gateway could not be provisioned yet');
    this.options.onChange();
  }
}

interface Existing {
  readonly metadata?: V1ObjectMeta;
}

async function existing(asked: Promise<Existing>): Promise<Existing | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Also by a Gateway that had this name before: what it has left is this one's. */
function isOwnedBy(there: V1ObjectMeta | undefined, wanted: V1ObjectMeta | undefined): boolean {
  const name = wanted?.ownerReferences?.[0]?.name;
  return there?.ownerReferences?.some((one) => one.kind === 'Gateway' && one.name === name) === true;
}

function hashOf(manifests: GatewayManifests): string {
  return createHash('sha256').update(JSON.stringify(manifests)).digest('hex');
}

/** Those of the load balancer, else those inside the cluster. */
function addressesOf(service: V1Service | undefined): ProvisionedAddress[] {
  const ingress = service?.status?.loadBalancer?.ingress ?? [];
  const outside = ingress.map(
    ({ ip, hostname = '' }): ProvisionedAddress =>
      ip === undefined ? { type: 'Hostname', value: hostname } : { type: 'IPAddress', value: ip },
  );
  if (outside.length > 0) return outside;
  const inside = service?.spec?.clusterIPs ?? [];
  return inside.filter((ip) => ip !== 'None').map((value) => ({ type: 'IPAddress', value }));
}
