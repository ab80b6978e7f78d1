import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { KubeConfig } from '@kubernetes/client-node';
import { type Authority, createAuthority } from './authority/authority.ts';
import { openFileRoots, type SignerFiles } from './authority/file-roots.ts';
import type { RootSource } from './authority/root-source.ts';
import { openSecretRoots } from './authority/secret-roots.ts';
import { tokenReviewer } from './authority/token-review.ts';
import { keepTrustConfigMaps } from './authority/trust-config-maps.ts';
import { type ControlServer, type ListenAddress, openControlServer } from './distribution/server.ts';
import { type HealthServer, openHealthServer, type Readiness } from './health.ts';
import { type ApiServer, openApiServer, reasonOf } from './kubernetes/api-server.ts';
import { electLeader, type Leader, type LeadersMeans, type LeadersWork } from './leader.ts';
import type { Log } from './log.ts';
import { type ControlPlaneNumbers, controlPlaneMetrics } from './metrics.ts';
import type { QuotaStore } from './quotas/quota-store.ts';
import type { Registry } from './registry/registry.ts';

const RETRY_MS = 2_000;
/** Until proxies of Services no longer send new connections to a replica that stops. */
const STOP_DELAY_MS = 3_000;
const SEND_AWAY_MS = 2_000;
const STREAM_AGE_MS = 30 * 60_000;
const SOON_MS = 30 * 24 * 3_600_000;

export interface InClusterOptions {
  readonly kubeConfig: KubeConfig;
  /** Of the Secret and the Lease. */
  readonly namespace: string;
  /** What is served; its trust domain is that of the certificates. Closed with the control plane. */
  readonly registry: Registry & { readonly ready: Promise<void> };
  readonly listen: ListenAddress;
  readonly health: ListenAddress;
  /** A signer of others, instead of a root of our own in a Secret. */
  readonly signer?: SignerFiles;
  /** Labels of the namespaces that get the trust ConfigMap; without it all do. */
  readonly namespaceSelector?: string;
  /** Where quotas are counted. Closed with the control plane. */
  readonly quotas?: QuotaStore;
  /** What the leader does besides the trust ConfigMaps. */
  readonly leadersWork?: readonly ((means: LeadersMeans) => () => void)[];
  /** Life of certificates, in ms. */
  readonly leafLifeMs?: number;
  /** For how long a leader that is gone stays the leader, in ms. */
  readonly leaseMs?: number;
  /** How long a stopping replica still serves, in ms. */
  readonly stopDelayMs?: number;
  /** After about so long a sidecar is sent to another replica, in ms. */
  readonly streamAgeMs?: number;
  readonly log: Log;
}

/** One of the replicas of a cluster's control plane. */
export interface InCluster {
  /** HOST:PORT of the health port, which answers from the start. */
  readonly health: string;
  /** Resolves to the HOST:PORT for sidecars once it accepts, to undefined if it was closed before; rejects if it never can. */
  readonly serving: Promise<string | undefined>;
  /** Not ready first, then sidecars go to other replicas, then it ends. */
  close(): Promise<void>;
}

/** Starts a replica. What is not there yet (API server, Secret, registry) is waited for, and readiness says what. */
export async function startInCluster(options: InClusterOptions): Promise<InCluster> {
  const replica = new Replica(options);
  await replica.open();
  return replica;
}

class Replica implements InCluster {
  private readonly options: InClusterOptions;
  private readonly api: ApiServer;
  private healthServer: HealthServer | undefined = undefined;
  private roots: RootSource | undefined = undefined;
  private authority: Authority | undefined = undefined;
  private server: ControlServer | undefined = undefined;
  private leader: Leader | undefined = undefined;
  /** What is waited for, in words. */
  private waiting: string | undefined = 'the API server';
  private readonly stopping = new AbortController();
  private closing: Promise<void> | undefined = undefined;
  serving: Promise<string | undefined> = new Promise(() => {}); // until it is open

  constructor(options: InClusterOptions) {
    this.options = options;
    this.api = openApiServer(options.kubeConfig);
  }

  get health(): string {
    return this.healthServer?.address ?? '';
  }

  async open(): Promise<void> {
    const metrics = controlPlaneMetrics(() => this.numbers());
    this.healthServer = await openHealthServer(this.options.health, {
      readiness: () => this.readiness(),
      metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    });
    this.serving = this.start().catch((error: unknown) => {
      if (this.stopping.signal.aborted) return undefined;
      throw error;
    });
    this.serving.catch(() => {}); // told to who waits for it
  }

  private async start(): Promise<string> {
    const { registry, listen, leafLifeMs, quotas, streamAgeMs = STREAM_AGE_MS, log } = this.options;
    const roots = await this.openRoots();
    const authority = createAuthority(roots, {
      trustDomain: registry.trustDomain,
      leafLifeMs,
      verifyToken: tokenReviewer(this.api),
      mayRenew: (workload) => registry.runs?.(workload) ?? true,
    });
    this.authority = authority;
    this.leader = this.elect(authority);
    this.waiting = 'the first lists of the registry';
    await registry.ready;
    this.stopping.signal.throwIfAborted();
    const server = await openControlServer(listen, authority, registry, log, {
      streamAgeMs,
      ...(quotas !== undefined && { quotas }),
    });
    if (this.stopping.signal.aborted) await server.close();
    this.stopping.signal.throwIfAborted();
    this.server = server;
    this.waiting = undefined;
    return server.address;
  }

  /** Tries until it has them: who can mend what is wrong need not restart anything. */
  private async openRoots(): Promise<RootSource> {
    const { namespace, registry, signer, log } = this.options;
    for (;;) {
      try {
        this.roots = await (signer === undefined
          ? openSecretRoots({ api: this.api, namespace, trustDomain: registry.trustDomain, log })
          : openFileRoots(signer, log));
        return this.roots;
      } catch (error) {
        const waiting = `the roots of the mesh: ${reasonOf(error)}`;
        if (waiting !== this.waiting)
          log.error({ error: reasonOf(error) }, 'the roots of the mesh are not there');
        this.waiting = waiting;
      }
      await this.pause(RETRY_MS);
    }
  }

  private async pause(ms: number): Promise<void> {
    const { signal } = this.stopping;
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    signal.throwIfAborted();
  }

  private elect(authority: Authority): Leader {
    const { namespace, namespaceSelector, leaseMs, leadersWork = [], log } = this.options;
    const { api } = this;
    const mayWrite = () => this.leader?.leads() === true;
    let resync = (): void => {};
    authority.onChange(() => resync());
    const trustConfigMaps: LeadersWork = () => {
      const kept = keepTrustConfigMaps({
        api,
        bundlePem: () => authority.bundlePem,
        mayWrite,
        namespaceSelector,
        log,
      });
      resync = () => kept.resync();
      return () => {
        resync = () => {};
        kept.close();
      };
    };
    return electLeader(
      {
        api,
        namespace,
        identity: `${hostname()}_${randomUUID()}`,
        log,
        ...(leaseMs !== undefined && { leaseMs }),
      },
      [
        trustConfigMaps,
        ...leadersWork.map(
          (work): LeadersWork =>
            () =>
              work({ api, mayWrite }),
        ),
      ],
    );
  }

  private readiness(): Readiness {
    const waiting = this.stopping.signal.aborted ? 'the end: it stops' : this.waiting;
    return {
      ready: waiting === undefined,
      waiting: waiting === undefined ? [] : [waiting],
      degraded: this.degraded(),
      leads: this.leader?.leads() === true,
    };
  }

  private degraded(): string[] {
    const away = this.api.away();
    const root = this.roots?.problem();
    const notAfter = this.authority?.notAfter;
    const outage = this.options.quotas?.numbers().outage;
    return [
      away !== undefined && `the API server is away (${away}): running on what is known`,
      !this.options.registry.state().current && 'the registry is not of now: running on what is known',
      outage !== undefined && `quotas go on by on-outage: ${outage}`,
      root !== undefined && `the roots of the mesh: ${root}`,
      notAfter !== undefined &&
        notAfter - Date.now() < SOON_MS &&
        `what signs certificates ends at ${new Date(notAfter).toISOString()}`,
    ].filter((reason) => reason !== false);
  }

  private numbers(): ControlPlaneNumbers {
    const { problems, current } = this.options.registry.state();
    return {
      server: this.server?.numbers,
      leads: this.leader?.leads() === true,
      apiServerAway: this.api.away() !== undefined,
      quotaStore: this.options.quotas?.numbers(),
      registryCurrent: current,
      registryProblems: problems.length,
      authorityNotAfter: this.authority?.notAfter,
    };
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async stop(): Promise<void> {
    this.stopping.abort();
    const { stopDelayMs = STOP_DELAY_MS, registry } = this.options;
    const released = this.leader?.close();
    if (this.server !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, stopDelayMs));
      await this.server.sendAway(Math.min(SEND_AWAY_MS, stopDelayMs));
      await this.server.close();
    }
    await released;
    this.authority?.close();
    registry.close();
    await this.options.quotas?.close();
    this.api.close();
    this.healthServer?.close();
  }
}
