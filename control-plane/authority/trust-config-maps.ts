import { CoreV1Api, type V1ConfigMap, type V1Namespace } from '@kubernetes/client-node';
import { type ApiServer, reasonOf, statusOf } from '../kubernetes/api-server.ts';
import { type Followed, follow } from '../kubernetes/follow.ts';
import type { Log } from '../log.ts';

const NAME = 'tulle-trust';
/** What sidecars take as `--bundle`. */
const KEY = 'bundle.pem';
/** Between two writes to one namespace: whoever edits it against us again and again does not keep us busy. */
const LEAST_MS = 1_000;
const LAST_BACKOFF_MS = 60_000;
const MAX_WRITES = 8;

export interface TrustConfigMapsOptions {
  readonly api: ApiServer;
  readonly bundlePem: () => string;
  /** Asked before each write: a replica that lost the lease writes no more. */
  readonly mayWrite: () => boolean;
  /** Labels of the namespaces that are meant; without it all. */
  readonly namespaceSelector?: string | undefined;
  readonly log: Log;
}

/** Keeps the ConfigMap `tulle-trust` in every namespace that is meant but those of Kubernetes itself. */
export function keepTrustConfigMaps(options: TrustConfigMapsOptions): { resync(): void; close(): void } {
  return new TrustConfigMaps(options);
}

/** Whether pods of a namespace may be meshed. */
function mayBeMeshed({ metadata, status }: V1Namespace): boolean {
  return (
    metadata?.name?.startsWith('kube-') === false &&
    metadata.deletionTimestamp === undefined &&
    status?.phase !== 'Terminating'
  );
}

/** Reconciles the state, not the event: whatever happened, a namespace is looked at and put right. */
class TrustConfigMaps {
  private readonly options: TrustConfigMapsOptions;
  private readonly core: CoreV1Api;
  private readonly namespaces: Followed<V1Namespace>;
  private readonly configMaps: Followed<V1ConfigMap>;
  /** Namespaces to look at. */
  private readonly waiting = new Set<string>();
  /** Those that are to be looked at later. */
  private readonly delayed = new Map<string, NodeJS.Timeout>();
  private readonly failures = new Map<string, number>();
  /** Those that are written now: they are looked at again afterwards. */
  private readonly writing = new Set<string>();
  private closed = false;

  constructor(options: TrustConfigMapsOptions) {
    this.options = options;
    const { api, namespaceSelector: labelSelector, log } = options;
    this.core = api.client(CoreV1Api);
    this.namespaces = follow<V1Namespace>({
      api,
      path: '/api/v1/namespaces',
      list: () => this.core.listNamespace(labelSelector === undefined ? {} : { labelSelector }),
      labelSelector,
      log,
      onChange: ({ metadata }) => this.look(metadata?.name),
      onListed: () => this.resync(),
    });
    const fieldSelector = `metadata.name=${NAME}`;
    this.configMaps = follow<V1ConfigMap>({
      api,
      path: '/api/v1/configmaps',
      list: () => this.core.listConfigMapForAllNamespaces({ fieldSelector }),
      fieldSelector,
      log,
      onChange: ({ metadata }) => this.look(metadata?.namespace),
      onListed: () => this.resync(),
    });
  }

  /** The bundle is another one: looks at all. */
  resync(): void {
    for (const { metadata } of this.namespaces.list()) this.look(metadata?.name);
  }

  close(): void {
    this.closed = true;
    this.namespaces.close();
    this.configMaps.close();
    for (const timer of this.delayed.values()) clearTimeout(timer);
  }

  private look(namespace: string | undefined): void {
    if (namespace === undefined || this.closed) return;
    if (this.delayed.has(namespace) || this.writing.has(namespace)) return;
    this.waiting.add(namespace);
    this.proceed();
  }

  private later(namespace: string, ms: number): void {
    if (this.closed || this.delayed.has(namespace)) return;
    const timer = setTimeout(() => {
      this.delayed.delete(namespace);
      this.look(namespace);
    }, ms);
    this.delayed.set(namespace, timer);
  }

  private proceed(): void {
    if (!this.configMaps.listed()) return; // who has one is not known yet
    for (const namespace of this.waiting) {
      if (this.writing.size >= MAX_WRITES) return;
      this.waiting.delete(namespace);
      if (!this.isWanting(namespace)) continue;
      this.writing.add(namespace);
      void this.write(namespace).finally(() => {
        this.writing.delete(namespace);
        this.proceed();
      });
    }
  }

  private isWanting(name: string): boolean {
    const namespace = this.namespaces.get(name);
    if (namespace === undefined || !mayBeMeshed(namespace)) {
      this.failures.delete(name);
      return false;
    }
    return this.configMaps.get(NAME, name)?.data?.[KEY] !== this.options.bundlePem();
  }

  private async write(namespace: string): Promise<void> {
    const { bundlePem, mayWrite, log } = this.options;
    if (this.closed || !mayWrite()) return;
    const body: V1ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: NAME, namespace, labels: { 'app.kubernetes.io/managed-by': 'tulle' } },
      data: { [KEY]: bundlePem() },
    };
    try {
      // Server-side apply: one call, whether it is there or not, and the right to create others is not needed.
      await this.core.patchNamespacedConfigMap({
        name: NAME,
        namespace,
        body,
        fieldManager: 'tulle',
        force: true,
      });
      this.failures.delete(namespace);
      this.later(namespace, LEAST_MS);
    } catch (error) {
      if (statusOf(error) === 404) return; // the namespace is gone
      const failures = (this.failures.get(namespace) ?? 0) + 1;
      this.failures.set(namespace, failures);
      log.warn({ namespace, error: reasonOf(error) }, `the ConfigMap ${NAME} could not be written yet`);
      this.later(namespace, Math.min(LAST_BACKOFF_MS, LEAST_MS * 2 ** (failures - 1)));
    }
  }
}
