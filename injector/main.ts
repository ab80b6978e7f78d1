import { setTimeout as delay } from 'node:timers/promises';
import type { AdmissionRequest, Verdict } from './admission-review.ts';
import { CertificateRotation, type Serving } from './certificate-rotation.ts';
import type { Cluster } from './cluster.ts';
import { openHealthServer } from './health-server.ts';
import type { InjectionConfig, PodNamespace } from './injection-config.ts';
import type { KubernetesVersion } from './kubernetes-version.ts';
import type { Log } from './log.ts';
import { type InjectorMetrics, injectorMetrics } from './metrics.ts';
import { reviewObject } from './review-object.ts';
import { reviewPod } from './review-pod.ts';
import { openWebhook, type Reviews } from './webhook.ts';

const LOOK_MS = 60_000;
const RETRY_MS = 2_000;
/** Less than the API server waits for the whole answer. */
const NAMESPACE_MS = 2_000;
const CERTIFICATE_LIFE_MS = 90 * 24 * 3_600_000;
const SETTLE_MS = 10_000;

export interface InjectorOptions {
  readonly cluster: Cluster;
  readonly injection: Omit<InjectionConfig, 'cluster'>;
  /** Without a host: on all addresses, of both families. */
  readonly listen: { readonly host?: string; readonly port: number };
  readonly health: { readonly host?: string; readonly port: number };
  /** Name of the two webhook configurations. */
  readonly configuration: string;
  /** DNS names and addresses by which API servers call. */
  readonly names: readonly string[];
  /** How long it goes on answering when it is closed: API servers learn a little later that it is not ready. In ms. */
  readonly lingerMs: number;
  readonly log: Log;
}

export interface RunningInjector {
  readonly address: string;
  readonly health: string;
  close(): Promise<void>;
}

/** Starts an injector; resolved once it has a certificate and listens. Goes on asking a cluster that does not answer. */
export async function startInjector(options: InjectorOptions): Promise<RunningInjector> {
  const { cluster, injection, listen, log } = options;
  const metrics = injectorMetrics();
  let notReady: string | undefined = 'it has no certificate yet';
  const health = await openHealthServer(options.health, () => notReady, metrics.text);
  const rotation = new CertificateRotation({
    store: cluster.certificateStore(injection.systemNamespace),
    announce: (bundlePem) => cluster.announceBundle(options.configuration, bundlePem),
    names: options.names,
    lifeMs: CERTIFICATE_LIFE_MS,
    settleMs: SETTLE_MS,
  });
  const look = async (): Promise<{ serving: Serving; version: KubernetesVersion }> => {
    const serving = await rotation.step();
    metrics.certificateEnds(serving.endsMs);
    return { serving, version: await cluster.version() };
  };
  const first = await patiently(look, (reason) => {
    notReady = reason;
    log.warn({ reason }, 'the cluster does not answer yet');
  });
  let { version } = first;
  const reviews = reviewsOf(options, metrics, () => version);
  const webhook = await openWebhook(listen, first.serving.certificate, reviews).catch((error: unknown) => {
    health.close();
    throw error;
  });
  notReady = undefined;
  const stop = follow(look, first.serving, log, (seen) => {
    version = seen.version;
    webhook.serve(seen.serving.certificate);
  });
  return {
    address: webhook.address,
    health: health.address,
    async close() {
      notReady = 'it is stopping';
      stop();
      webhook.leave();
      await delay(options.lingerMs);
      await webhook.close();
      health.close();
    },
  };
}

/** What the webhook is asked by its paths; judged, counted and logged. `version` is that of the API server now. */
function reviewsOf(
  { cluster, injection, log }: InjectorOptions,
  metrics: InjectorMetrics,
  version: () => KubernetesVersion,
): Reviews {
  return {
    async '/inject'(request) {
      const config = { ...injection, cluster: version() };
      const read = (name: string) => soonEnough(cluster.readNamespace(name), log);
      const { verdict, outcome } = await reviewPod(request, config, read);
      metrics.count('inject', outcome);
      tell(log, request, outcome, verdict);
      return verdict;
    },
    async '/validate'(request) {
      const verdict = reviewObject(request, injection.systemNamespace);
      metrics.count('validate', verdict.allowed ? 'allowed' : 'denied');
      return verdict;
    },
  };
}

/** Until it succeeds. */
async function patiently<T>(act: () => Promise<T>, onFailure: (reason: string) => void): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      onFailure(reasonOf(error));
      await delay(RETRY_MS);
    }
  }
}

/** Looks again from time to time, sooner while a certificate waits for its turn. Gives back what ends it. */
function follow<T extends { serving: Serving }>(
  look: () => Promise<T>,
  serving: Serving,
  log: Log,
  onSeen: (seen: T) => void,
): () => void {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const again = (ms: number): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      look().then(
        (seen) => {
          if (stopped) return;
          onSeen(seen);
          again(seen.serving.isRotating ? SETTLE_MS : LOOK_MS);
        },
        (error: unknown) => {
          log.error(
            { reason: reasonOf(error) },
            'the certificate could not be looked after; it is tried again',
          );
          again(RETRY_MS);
        },
      );
    }, ms);
  };
  again(serving.isRotating ? SETTLE_MS : LOOK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** The namespace, if it can be read in time. */
async function soonEnough(
  reading: Promise<PodNamespace | undefined>,
  log: Log,
): Promise<PodNamespace | undefined> {
  const late = AbortSignal.timeout(NAMESPACE_MS);
  try {
    return await Promise.race([
      reading,
      new Promise<never>((_resolve, reject) => {
        late.addEventListener('abort', () => reject(new Error(`no answer within ${NAMESPACE_MS} ms`)));
      }),
    ]);
  } catch (error) {
    log.warn(
      { reason: reasonOf(error) },
      'the namespace of a pod could not be read; its annotations do not count',
    );
    return undefined;
  }
}

/** Pods that controllers create show their warnings to nobody else. */
function tell(log: Log, { namespace, object }: AdmissionRequest, outcome: string, verdict: Verdict): void {
  const { name, generateName } = object?.metadata ?? {};
  const pod = `${namespace ?? ''}/${name ?? generateName ?? ''}`;
  const details = verdict.allowed
    ? { pod, outcome, warnings: verdict.warnings }
    : { pod, outcome, reason: verdict.message };
  const isQuiet = verdict.allowed && (verdict.warnings ?? []).length === 0;
  (isQuiet ? log.debug : log.warn)(details, 'a pod was judged');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
