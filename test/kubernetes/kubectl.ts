import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { output } from './cluster/command.ts';

const LIMIT = '120s';
/** It reads `on` as true, unless it stands in quotes. */
const KUBECTL_YAML = { version: '1.1' } as const;

/** An object of the cluster, as one writes it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Readonly<
    Record<string, unknown>
  >;
  readonly [field: string]: unknown;
}

/** What `kubectl get` tells of a pod, as far as tests ask. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    /** Of a pod that is about to end. */
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status: {
    readonly phase: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

interface Container {
  readonly name: string;
  readonly image: string;
}

interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
}

/** Runs kubectl and returns what it printed. Rejects with its words when it fails. */
export function kubectl(...args: readonly string[]): Promise<string> {
  return output('kubectl', ...args);
}

/** Applies objects, or YAML text. */
export function apply(what: string | readonly Manifest[]): Promise<void> {
  const text =
    typeof what === 'string' ? what : what.map((one) => stringify(one, KUBECTL_YAML)).join('---\n');
  return new Promise((resolve, reject) => {
    const child = spawn('kubectl', ['apply', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      words += part;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`kubectl apply: ${words}\n${text}`)),
    );
    child.stdin.end(text);
  });
}

/** Makes a namespace that goes with the test, and waits until pods can start in it. */
export async function namespace(
  context: TestContext,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<string> {
  context.after(() => removeNamespace(name));
  await makeNamespace(name, labels);
  return name;
}

/** The same for a suite, whose `after` removes it. */
export async function makeNamespace(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]);
  await kubectl('-n', name, 'wait', '--for=create', 'serviceaccount/default', '--timeout', LIMIT);
}

export async function removeNamespace(name: string): Promise<void> {
  await kubectl('delete', 'namespace', name, '--ignore-not-found', '--timeout', LIMIT);
}

/** A name that no other run takes, for a namespace that goes while others' tests run already. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(3).toString('hex')}`;
}

/** Has a namespace of such a name go: pods take their time to end. */
export async function leaveNamespace(name: string): Promise<void> {
  await kubectl('delete', 'namespace', name, '--ignore-not-found', '--wait=false');
}

/** Waits until all pods of a Deployment, StatefulSet or DaemonSet are new and ready: `deployment/web`. */
export async function rolledOut(inNamespace: string, ...workloads: readonly string[]): Promise<void> {
  for (const workload of workloads) {
    await kubectl('-n', inNamespace, 'rollout', 'status', workload, '--timeout', LIMIT);
  }
}

/** Replaces all pods of a workload, and waits until the last new one is ready. */
export async function restart(inNamespace: string, workload: string): Promise<void> {
  await kubectl('-n', inNamespace, 'rollout', 'restart', workload);
  await rolledOut(inNamespace, workload);
}

/** Pods that run, by label: `app=web`. */
export async function pods(inNamespace: string, selector: string): Promise<Pod[]> {
  const running = '--field-selector=status.phase=Running';
  const text = await kubectl('-n', inNamespace, 'get', 'pods', '-l', selector, running, '-o', 'json');
  return (JSON.parse(text) as { items: Pod[] }).items;
}

/** Addresses of a Service, IPv4 first where it has both. */
export async function clusterIps(inNamespace: string, service: string): Promise<string[]> {
  const text = await kubectl(
    '-n',
    inNamespace,
    'get',
    'service',
    service,
    '-o',
    'jsonpath={.spec.clusterIPs}',
  );
  return JSON.parse(text) as string[];
}

/** Runs a command in a pod's container and returns what it printed. `pod`: a name, or `deployment/web`. */
function execIn(
  inNamespace: string,
  pod: string,
  container: string,
  ...command: readonly string[]
): Promise<string> {
  return kubectl('-n', inNamespace, 'exec', pod, '-c', container, '--', ...command);
}

/** Runs JavaScript in a container of Tulle's image, which has Node and no shell. */
export function scriptIn(
  inNamespace: string,
  pod: string,
  container: string,
  script: string,
): Promise<string> {
  return execIn(inNamespace, pod, container, '/usr/bin/node', '--input-type=module', '-e', script);
}

/** What a container has logged. */
export function logs(inNamespace: string, pod: string, container: string): Promise<string> {
  return kubectl('-n', inNamespace, 'logs', pod, '-c', container);
}
