import type { KubeConfig } from '@kubernetes/client-node';
import type { ListenerCertificate } from '../../../protocol/gateway.ts';
import { formatProblem } from '../../../protocol/problem.ts';
import type { Resource, ResourceKind } from '../../../protocol/resources.ts';
import type { Log } from '../../log.ts';
import type { Change, Registry } from '../registry.ts';
import { type ApiSession, openApiSession } from './api-session.ts';
import { AUTHORITIES, type AuthorityState } from './backend-authorities.ts';
import { FollowedResources } from './followed-resources.ts';
import { KnownObjects, type ObjectKind } from './known-objects.ts';
import type { Subject } from './known-workloads.ts';
import { SECRETS, type SecretState } from './listener-certificates.ts';
import { NamedReader } from './named-reader.ts';
import type { ObjectProblem } from './object-problem.ts';
import { referenceText } from './object-reference.ts';
import { ResourceWatch, WATCH_TIMING, type WatchState, type WatchTiming } from './resource-watch.ts';
import { WATCHED_KINDS } from './watched-kinds.ts';

/** A burst of events, like a rollout's, is told as one change. */
const COALESCE_MS = 5;
/** Of thousands of problems telling takes a while: it takes no more than this share of the time. */
const TELLING_SHARE = 0.05;
/** For so long a start waits for the Secrets of Gateways, once all else is there. */
const FIRST_SECRETS_MS = 10_000;

/** Kinds of what settles which Secrets are wanted; Namespaces by their labels, for ListenerSets. */
const ABOUT_SECRETS: ReadonlySet<ObjectKind> = new Set([
  'Gateway',
  'ListenerSet',
  'ReferenceGrant',
  'GatewayClass',
  'Namespace',
]);

export interface KubernetesRegistryOptions {
  readonly kubeConfig: KubeConfig;
  readonly trustDomain: string;
  readonly log: Log;
  /** For tests. */
  readonly timing?: WatchTiming;
  /** For tests: between two looks at a Secret, in ms. */
  readonly rereadMs?: number;
}

export interface KubernetesRegistry extends Registry {
  /**
   * Resolves once all there is was listed. Before, `get` knows only a part: nobody should be served. It stays
   * pending while the API server is away; `close` leaves it so.
   */
  readonly ready: Promise<void>;
  /** What changed in the last few milliseconds may not be seen yet: it is told in a moment. */
  get(kind: ResourceKind, key: string, peer?: string): Resource | undefined;
  follow(kind: ResourceKind, key: string): void;
  unfollow(kind: ResourceKind, key: string): void;
  state(): RegistryState;
  /** All that is wrong in the cluster's objects. */
  problems(): readonly ObjectProblem[];
  /** What is known, for those who tell users what becomes of it. */
  readonly objects: KnownObjects;
  /** Once all is listed and then after each change of anything but pods and endpoints. */
  onSettled(listener: () => void): void;
  /** All problems, each time that some came or went. */
  onProblems(listener: (problems: readonly ObjectProblem[]) => void): void;
}

interface RegistryState {
  readonly problems: readonly string[];
  /** false: it goes on with what it knows, as `away` says. */
  readonly current: boolean;
  /** In words, when the API server does not tell what is new. */
  readonly away?: string;
  readonly watches: readonly WatchState[];
}

/** The registry of a cluster: follows the API server from now on, whether it answers or not. */
export function openKubernetesRegistry(options: KubernetesRegistryOptions): KubernetesRegistry {
  const { kubeConfig } = options;
  return new WatchedCluster(options, () => openApiSession(kubeConfig));
}

class WatchedCluster implements KubernetesRegistry {
  readonly trustDomain: string;
  readonly ready: Promise<void>;
  readonly objects = new KnownObjects();
  private readonly log: Log;
  private readonly followed = new FollowedResources(this.objects);
  private readonly watches: readonly ResourceWatch[];
  private readonly secrets: NamedReader<ListenerCertificate>;
  private readonly authorities: NamedReader<{ readonly pem: string }>;
  private readonly changeListeners: ((changes: readonly Change[]) => void)[] = [];
  private readonly problemListeners: ((problems: readonly ObjectProblem[]) => void)[] = [];
  private readonly settledListeners: (() => void)[] = [];
  /** What may look different since before all was listed. */
  private early: ReadonlySet<Subject> = new Set();
  private unsettled = true;
  private secretsUnsettled = true;
  private authoritiesUnsettled = true;
  private toldProblems: ReadonlySet<string> = new Set();
  /** Before all is listed, what looks wrong may only be not there yet. */
  private listed = false;
  private flushing: NodeJS.Timeout | undefined = undefined;
  private telling: NodeJS.Timeout | undefined = undefined;
  /** How long it took the last time. */
  private tellingMs = 0;

  constructor(
    { trustDomain, log, timing = WATCH_TIMING, rereadMs }: KubernetesRegistryOptions,
    open: () => Promise<ApiSession>,
  ) {
    this.trustDomain = trustDomain;
    this.log = log;
    this.watches = WATCHED_KINDS.map((watched) => {
      const sink = {
        put: (key: string, object: object) => this.put(watched.kind, key, object),
        remove: (key: string) => this.remove(watched.kind, key),
      };
      return new ResourceWatch(watched, open, sink, log, timing);
    });
    this.secrets = new NamedReader(SECRETS, open, (key, state) => this.putSecret(key, state), log, rereadMs);
    this.authorities = new NamedReader(
      AUTHORITIES,
      open,
      (key, state) => this.putAuthority(key, state),
      log,
      rereadMs,
    );
    this.ready = this.list();
  }

  get(kind: ResourceKind, key: string, peer?: string): Resource | undefined {
    const view = this.followed.view(kind, key);
    const namespace = peer?.split('/', 1)[0] ?? '';
    return view?.byNamespace.get(namespace) ?? view?.resource;
  }

  follow(kind: ResourceKind, key: string): void {
    this.followed.follow(kind, key);
  }

  unfollow(kind: ResourceKind, key: string): void {
    this.followed.unfollow(kind, key);
  }

  onChange(listener: (changes: readonly Change[]) => void): void {
    this.changeListeners.push(listener);
  }

  problems(): readonly ObjectProblem[] {
    return this.objects.problems();
  }

  onProblems(listener: (problems: readonly ObjectProblem[]) => void): void {
    this.problemListeners.push(listener);
  }

  onSettled(listener: () => void): void {
    this.settledListeners.push(listener);
    if (this.listed) listener();
  }

  state(): RegistryState {
    const watches = this.watches.map((watch) => watch.state());
    const lost = watches.filter(({ connected }) => !connected);
    const problems = this.objects.problems().map(problemText);
    const [first] = lost;
    if (first === undefined) return { problems, current: this.listed, watches };
    const since = new Date(Math.min(...lost.map((one) => one.since))).toISOString();
    const kinds = lost.map(({ kind }) => kind).join(', ');
    const doing = this.listed ? 'goes on with what it knows' : 'waits for the first list';
    const away = `cannot follow ${kinds} since ${since} (${first.lastError ?? 'connecting'}): ${doing}`;
    return { problems: [...problems, away], current: false, away, watches };
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    this.secrets.close();
    this.authorities.close();
    clearTimeout(this.flushing);
    this.flushing = undefined;
    clearTimeout(this.telling);
    this.listed = false;
  }

  runs(workload: string): boolean {
    const isCurrent = this.listed && this.watches.find(({ kind }) => kind === 'Pod')?.state().connected;
    return isCurrent !== true || this.objects.workloads.runs(workload);
  }

  private async list(): Promise<void> {
    for (const watch of this.watches) watch.start();
    await Promise.all(this.watches.map(({ synced }) => synced));
    // A gateway that is told of its listeners without their certificates would close them.
    this.early = this.objects.settle();
    this.secrets.want(this.objects.gateways.wantedSecrets());
    this.authorities.want(this.wantedAuthorities());
    await Promise.all([this.secrets.first(FIRST_SECRETS_MS), this.authorities.first(FIRST_SECRETS_MS)]);
    this.listed = true;
    this.flush();
  }

  private put(kind: ObjectKind, key: string, object: object): void {
    try {
      this.objects.put(kind, key, object);
    } catch (error) {
      this.log.error(
        { kind, key, error: String(error) },
        'an object cannot be read: what was known of it stays',
      );
    }
    this.schedule(kind);
  }

  private putSecret(key: string, state: SecretState): void {
    this.objects.gateways.putSecret(key, state);
    this.schedule('Gateway');
  }

  private putAuthority(key: string, state: AuthorityState): void {
    this.objects.gateways.putAuthority(key, state);
    this.objects.backendTls.putAuthority(key, state);
    this.schedule('BackendTLSPolicy');
  }

  private wantedAuthorities(): Set<string> {
    const { gateways, backendTls } = this.objects;
    return gateways.wantedAuthorities().union(backendTls.wantedAuthorities());
  }

  private remove(kind: ObjectKind, key: string): void {
    this.objects.remove(kind, key);
    this.schedule(kind);
  }

  private schedule(kind: ObjectKind): void {
    if (kind !== 'EndpointSlice' && kind !== 'Pod') this.unsettled = true;
    if (kind === 'BackendTLSPolicy') this.authoritiesUnsettled = true;
    if (ABOUT_SECRETS.has(kind)) {
      this.secretsUnsettled = true;
      this.authoritiesUnsettled = true;
    }
    if (!this.listed || this.flushing !== undefined) return;
    this.flushing = setTimeout(() => this.flush(), COALESCE_MS);
  }

  /** Tells what changed since it was called last. */
  private flush(): void {
    clearTimeout(this.flushing);
    this.flushing = undefined;
    if (!this.listed) return;
    const changes = this.followed.update([...this.early, ...this.objects.settle()]);
    this.early = new Set();
    if (changes.length > 0) for (const listener of this.changeListeners) listener(changes);
    if (this.secretsUnsettled) this.secrets.want(this.objects.gateways.wantedSecrets());
    this.secretsUnsettled = false;
    if (this.authoritiesUnsettled) this.authorities.want(this.wantedAuthorities());
    this.authoritiesUnsettled = false;
    if (this.objects.takeProblemsChanged()) this.tellSoon();
    if (this.unsettled) for (const listener of this.settledListeners) listener();
    this.unsettled = false;
  }

  /** Who changes one of thousands of wrong objects again and again keeps nobody busy. */
  private tellSoon(): void {
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      const from = performance.now();
      this.tellProblems();
      this.tellingMs = performance.now() - from;
    }, this.tellingMs / TELLING_SHARE);
  }

  private tellProblems(): void {
    const problems = this.objects.problems();
    const texts = new Set(problems.map(problemText));
    for (const text of texts) if (!this.toldProblems.has(text)) this.log.warn({}, text);
    this.toldProblems = texts;
    for (const listener of this.problemListeners) listener(problems);
  }
}

/** `Service shop/orders annotations.tulle.dev/retries: "many" is not ...`. */
function problemText({ reference, problem }: ObjectProblem): string {
  return `${referenceText(reference)} ${formatProblem(problem)}`;
}
