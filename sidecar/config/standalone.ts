import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { formatProblem, type Problem } from '../../protocol/problem.ts';
import type {
  GatewayResource,
  Resource,
  ResourceKind,
  Resources,
  ServiceResource,
} from '../../protocol/resources.ts';
import { watchFile } from '../../protocol/watch-file.ts';
import type { Log } from '../log.ts';
import type { Subscription, SubscriptionState } from './subscription.ts';

/** What the reader prints. */
export interface MeshReading {
  readonly found?: {
    readonly trustDomain: string;
    readonly services: readonly ServiceResource[];
    readonly gateways: readonly GatewayResource[];
  };
  readonly problems: readonly Problem[];
}

/** A mesh.yaml that a data plane cannot start on. */
class MeshFileError extends Error {
  readonly code = 'ERR_TULLE_MESH_FILE';
}

const MAX_OUTPUT = 256 * 1024 * 1024;

/**
 * Reads the file in a process that ends: schemas and the YAML reader weigh 17 MB that a running proxy
 * does not need.
 */
function readMesh(file: string): Promise<{ resources?: Resources; problems: readonly Problem[] }> {
  const script = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './mesh-reader.ts' : './mesh-reader.js', import.meta.url),
  );
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [script, file],
      { maxBuffer: MAX_OUTPUT, encoding: 'utf8' },
      (error, output) => {
        if (error !== null) {
          reject(new Error(`reading ${file} failed: ${error.message}`));
          return;
        }
        const { found, problems } = JSON.parse(output) as MeshReading;
        resolve(found === undefined ? { problems } : { resources: indexed(found), problems });
      },
    );
  });
}

function indexed(found: NonNullable<MeshReading['found']>): Resources {
  return {
    trustDomain: found.trustDomain,
    services: new Map(found.services.map((service) => [service.key, service])),
    gateways: new Map(found.gateways.map((gateway) => [gateway.key, gateway])),
  };
}

/** Runs on a mesh.yaml alone and follows its edits; a broken edit keeps the last good state. Throws MeshFileError if it is broken at the start. */
export async function openStandalone(file: string, log: Log): Promise<Subscription> {
  const first = await readMesh(file);
  const problems = first.problems.map(formatProblem);
  if (first.resources === undefined)
    throw new MeshFileError(`${file} cannot be used:\n  ${problems.join('\n  ')}`);
  for (const problem of first.problems) log.warn({ file }, formatProblem(problem));
  return new StandaloneSubscription(file, first.resources, log);
}

class StandaloneSubscription implements Subscription {
  private readonly file: string;
  private readonly log: Log;
  private resources: Resources;
  private readonly wanted = new Set<string>();
  private readonly resourceListeners: ((resource: Resource) => void)[] = [];
  private readonly absentListeners: ((kind: ResourceKind, key: string) => void)[] = [];
  private readonly watcher: { close(): void };
  private lastError: string | undefined = undefined;
  private since = Date.now();
  /** Readings are numbered: a slow one must not undo a later one. */
  private reading = 0;

  constructor(file: string, resources: Resources, log: Log) {
    this.file = file;
    this.resources = resources;
    this.log = log;
    this.watcher = watchFile(file, () => void this.reload());
  }

  want(kind: ResourceKind, key: string): void {
    const id = `${kind} ${key}`;
    if (this.wanted.has(id)) return;
    this.wanted.add(id);
    // Never from inside the call: the caller has not finished with it.
    queueMicrotask(() => this.tell(kind, key));
  }

  drop(kind: ResourceKind, key: string): void {
    this.wanted.delete(`${kind} ${key}`);
  }

  onResource(listener: (resource: Resource) => void): void {
    this.resourceListeners.push(listener);
  }

  onAbsent(listener: (kind: ResourceKind, key: string) => void): void {
    this.absentListeners.push(listener);
  }

  state(): SubscriptionState {
    const { trustDomain } = this.resources;
    return {
      connected: true,
      since: this.since,
      trustDomain,
      endpoint: this.file,
      ...(this.lastError !== undefined && { lastError: this.lastError }),
    };
  }

  /** Names of the gateways in the file. */
  gateways(): string[] {
    return [...this.resources.gateways.keys()];
  }

  close(): void {
    this.watcher.close();
  }

  private tell(kind: ResourceKind, key: string): void {
    const resource = this.find(kind, key);
    if (resource !== undefined) for (const listener of this.resourceListeners) listener(resource);
    else for (const listener of this.absentListeners) listener(kind, key);
  }

  private find(kind: ResourceKind, key: string): Resource | undefined {
    return kind === 'service' ? this.resources.services.get(key) : this.resources.gateways.get(key);
  }

  private async reload(): Promise<void> {
    const number = ++this.reading;
    const { resources, problems } = await readMesh(this.file).catch((error: Error) => ({
      resources: undefined,
      problems: [unreadable(error)],
    }));
    if (number !== this.reading) return;
    for (const problem of problems) this.log.warn({ file: this.file }, formatProblem(problem));
    if (resources === undefined) {
      this.lastError = problems.map(formatProblem).join('; ');
      this.log.error({ file: this.file }, 'the edited file cannot be used: the last good one stays in force');
      return;
    }
    this.lastError = undefined;
    this.since = Date.now();
    const before = this.resources;
    this.resources = resources;
    for (const id of this.wanted) {
      const [kind, key] = id.split(' ', 2) as [ResourceKind, string]; // as want() joined them
      const old = kind === 'service' ? before.services.get(key) : before.gateways.get(key);
      if (old?.version !== this.find(kind, key)?.version) this.tell(kind, key);
    }
  }
}

function unreadable(error: Error): Problem {
  return { severity: 'error', field: '', value: '', message: error.message, meant: '' };
}
