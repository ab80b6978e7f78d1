import { isDeepStrictEqual } from 'node:util';
import { CustomObjectsApi, PatchStrategy } from '@kubernetes/client-node';
import type { GatewayProvisioner } from '../gateways/gateway-provisioner.ts';
import { type ApiServer, reasonOf, statusOf } from '../kubernetes/api-server.ts';
import type { Log } from '../log.ts';
import { gatewayOfSet } from '../registry/kubernetes/checked-listener-set.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { WorkQueue } from '../work-queue.ts';
import { backendTlsStatus } from './backend-tls-status.ts';
import { gatewayClassStatus } from './gateway-class-status.ts';
import { gatewayStatus } from './gateway-status.ts';
import { listenerSetStatus } from './listener-set-status.ts';
import { policyStatus } from './policy-status.ts';
import { routeStatus } from './route-status.ts';

/** Between two looks at everything: a burst of changes is answered by one status. */
const LEAST_MS = 100;
/** Of thousands of routes a look takes a while: it takes no more than this share of the time. */
const MAX_SHARE = 0.05;

const PLURALS: Readonly<Record<string, string>> = {
  GatewayClass: 'gatewayclasses',
  Gateway: 'gateways',
  ListenerSet: 'listenersets',
  HTTPRoute: 'httproutes',
  GRPCRoute: 'grpcroutes',
  TLSRoute: 'tlsroutes',
  BackendTLSPolicy: 'backendtlspolicies',
  TrafficPolicy: 'trafficpolicies',
  AccessPolicy: 'accesspolicies',
  Aggregate: 'aggregates',
};

export interface StatusWriterOptions {
  readonly api: ApiServer;
  readonly mayWrite: () => boolean;
  readonly objects: KnownObjects;
  readonly provisioner: Pick<GatewayProvisioner, 'state'>;
  /** Namespaces that are this mesh's. */
  readonly inScope: (namespace: string) => boolean;
  readonly log: Log;
}

/** Writes into documents what becomes of them. */
export interface StatusWriter {
  /** Something may have changed. */
  look(): void;
  close(): void;
}

export function writeStatuses(options: StatusWriterOptions): StatusWriter {
  return new Writer(options);
}

class Writer implements StatusWriter {
  private readonly options: StatusWriterOptions;
  private readonly custom: CustomObjectsApi;
  private readonly queue: WorkQueue;
  /** resourceVersions over which a status was written: until the watch tells what came of it, nothing is to be done. */
  private readonly writtenOver = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined = undefined;
  /** How long the last look took. */
  private lookMs = 0;

  constructor(options: StatusWriterOptions) {
    this.options = options;
    // Of a list like a route's parents, server-side apply would take the entries of others for ours.
    this.custom = options.api.client(CustomObjectsApi, PatchStrategy.MergePatch);
    this.queue = new WorkQueue({
      work: (id) => this.write(id),
      onFailure: (object, error) =>
        options.log.warn({ object, error: reasonOf(error) }, 'a status could not be written yet'),
    });
  }

  look(): void {
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined;
        const from = performance.now();
        this.lookAtAll();
        this.lookMs = performance.now() - from;
      },
      Math.max(LEAST_MS, this.lookMs / MAX_SHARE),
    );
  }

  private lookAtAll(): void {
    const ids = new Set<string>();
    for (const [id, seen] of this.options.objects.seen.all()) {
      ids.add(id);
      if (!this.queue.isDelayed(id) && this.isDue(id, seen)) this.queue.add(id);
    }
    for (const id of this.writtenOver.keys()) if (!ids.has(id)) this.writtenOver.delete(id);
  }

  close(): void {
    clearTimeout(this.timer);
    this.queue.close();
  }

  private isDue(id: string, seen: SeenDocument): boolean {
    if (this.writtenOver.get(id) === seen.resourceVersion) return false;
    const wanted = this.wanted(seen);
    return wanted !== undefined && !covers(seen.status, wanted);
  }

  /** What its status should be; undefined: it is not ours to say. */
  private wanted(seen: SeenDocument): object | undefined {
    const { objects, provisioner, inScope } = this.options;
    const { reference, namespace, name } = seen.kept;
    const now = new Date();
    if (reference.kind === 'GatewayClass')
      return objects.gateways.isOurClass(name) ? gatewayClassStatus(seen, now) : undefined;
    if (reference.kind === 'ListenerSet') return this.ofListenerSet(seen, now);
    if (!inScope(namespace)) return undefined;
    const key = `${namespace}/${name}`;
    switch (reference.kind) {
      case 'Gateway':
        return gatewayStatus(key, objects, provisioner.state(key), now);
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TLSRoute':
        return routeStatus(seen, objects, now);
      case 'BackendTLSPolicy':
        return backendTlsStatus(seen, objects, now);
      case 'TrafficPolicy':
      case 'AccessPolicy':
      case 'Aggregate':
        return policyStatus(seen, objects, now);
      default:
        return undefined;
    }
  }

  /** Whoever has the Gateway tells of its ListenerSets, wherever they are. */
  private ofListenerSet(seen: SeenDocument, now: Date): object | undefined {
    const { objects, provisioner, inScope } = this.options;
    const gateway = gatewayOfSet(seen.kept);
    if (gateway === undefined || !inScope(gateway.split('/', 1)[0] ?? '')) return undefined;
    return listenerSetStatus(seen, objects, provisioner.state(gateway), now);
  }

  private async write(id: string): Promise<void> {
    const [kind = '', key = ''] = id.split(' ', 2);
    const seen = this.options.objects.seen.get(kind, key);
    if (seen === undefined || !this.options.mayWrite() || !this.isDue(id, seen)) return;
    const { resourceVersion, kept } = seen;
    const [group = '', version = ''] = kept.reference.apiVersion.split('/', 2);
    const object = { group, version, plural: PLURALS[kind] ?? '', name: kept.name };
    // Against this version alone: what others wrote meanwhile is not undone.
    const body = { metadata: { resourceVersion }, status: this.wanted(seen) };
    try {
      if (kept.namespace === '') await this.custom.patchClusterCustomObjectStatus({ ...object, body });
      else
        await this.custom.patchNamespacedCustomObjectStatus({ ...object, namespace: kept.namespace, body });
      this.writtenOver.set(id, resourceVersion);
    } catch (error) {
      if (statusOf(error) === 404) return; // it is gone
      if (statusOf(error) !== 409) throw error;
      // The watch tells what it is now; if it has already, it is looked at again.
      this.writtenOver.set(id, resourceVersion);
      this.look();
    }
  }
}

/** Whether a status says all that is wanted; it may say more. */
function covers(status: unknown, wanted: object): boolean {
  const there = (status ?? {}) as Record<string, unknown>;
  return Object.entries(wanted).every(
    ([name, value]) =>
      isDeepStrictEqual(there[name], plain(value)) || (there[name] === undefined && isEmpty(value)),
  );
}

/** An empty list may be left out by the API server. */
function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** As it comes back: without what is undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
