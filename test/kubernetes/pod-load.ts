import type { TestContext } from 'node:test';
import { VERSION } from '../../protocol/version.ts';
import { until } from '../fixture/wait.ts';
import { apply, kubectl, logs, scriptIn } from './kubectl.ts';

/** What became of a load's requests. */
interface LoadTally {
  readonly sent: number;
  readonly succeeded: number;
  /** How often each reason: a status with Tulle's reason or the body's beginning, or an error's code. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface PodLoad {
  /** So far; it is told once a second. */
  tally(): Promise<LoadTally>;
  /** What became of requests that were sent from now on, when `count` of them were. */
  next(count: number): Promise<LoadTally>;
  /** Sends no more, waits for the answers still to come, and tells all. */
  stop(): Promise<LoadTally>;
}

const CONTAINER = 'load';

/** Asks `url` from a pod of its own, `perSecond` times a second, until stopped: meshed where its namespace is. */
export async function podLoad(
  context: TestContext,
  namespace: string,
  name: string,
  url: string,
  perSecond: number,
): Promise<PodLoad> {
  context.after(() =>
    kubectl('-n', namespace, 'delete', 'pod', name, '--ignore-not-found', '--now', '--wait=false'),
  );
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace },
      spec: {
        restartPolicy: 'Never',
        securityContext: { runAsNonRoot: true, runAsUser: 1000 },
        containers: [
          {
            name: CONTAINER,
            image: `tulle:${VERSION}`,
            args: ['shop-traffic', url, `--rate=${perSecond}`],
            resources: { requests: { cpu: '10m', memory: '48Mi' } },
          },
        ],
      },
    },
  ]);
  await kubectl('-n', namespace, 'wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
  const tally = async (): Promise<LoadTally> => {
    const line = (await logs(namespace, name, CONTAINER)).trimEnd().split('\n').at(-1) ?? '';
    return line === '' ? { sent: 0, succeeded: 0, failures: {} } : (JSON.parse(line) as LoadTally);
  };
  return {
    tally,
    async next(count) {
      const before = await tally();
      let now = before;
      // What was told last may have been sent before.
      const enough = before.sent + count + perSecond;
      await until(`${count} more requests of ${name}`, async () => {
        now = await tally();
        return now.sent >= enough;
      });
      return difference(now, before);
    },
    async stop() {
      // The container may end before the script has: what counts is that it ends.
      await scriptIn(namespace, name, CONTAINER, "process.kill(1, 'SIGTERM')").catch(() => {});
      const ended = "jsonpath={.status.containerStatuses[?(@.name=='load')].state.terminated.reason}";
      await kubectl('-n', namespace, 'wait', `--for=${ended}`, `pod/${name}`, '--timeout=60s');
      return tally();
    },
  };
}

function difference(now: LoadTally, before: LoadTally): LoadTally {
  const failures = Object.entries(now.failures)
    .map(([reason, count]) => [reason, count - (before.failures[reason] ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return {
    sent: now.sent - before.sent,
    succeeded: now.succeeded - before.succeeded,
    failures: Object.fromEntries(failures),
  };
}
