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

/**
 * Runs on a mesh.yaml alone and follows its edits; a broken edit keeps the last good state. Listeners may
 * open while the file is read for the first time: `ready` says when that is done, and rejects with a
 * MeshFileError if the file cannot be used.
 */
export function openStandalone(file: string, log: Log): Subscription {
  return new StandaloneSubscription(file, log);
}

class StandaloneSubscription implements Subscription {
  readonly ready: Promise<void>;
  private readonly file: string;
  private readonly log: Log;
  /** Undefined until the first reading is done. */
  private resources: Resources | undefined = undefined;
  private readonly wanted = new Set<string>();
  private readonly resourceListeners: ((resource: Resource) => void)[] = [];
  private readonly absentListeners: ((kind: ResourceKind, key: string) => void)[] = [];
  private readonly watcher: { close(): void };
  private lastError: string | undefined = undefined;
  private since = Date.now();
  /** Readings are numbered: a slow one must not undo a later one. */
  private reading = 0;

  constructor(file: string, log: Log) {
    this.file = file;
    this.log = log;
    this.ready = this.load();
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
    return {
      connected: this.resources !== undefined,
      since: this.since,
      trustDomain: this.resources?.trustDomain ?? 'unknown',
      endpoint: this.file,
      ...(this.lastError !== undefined && { lastError: this.lastError }),
    };
  }

  /** Names of the gateways in the file. */
  gateways(): string[] {
    return [...(this.resources?.gateways.keys() ?? [])];
  }

  close(): void {
    this.watcher.close();
    // A reading may be under way.
    this.resourceListeners.length = 0;
    this.absentListeners.length = 0;
  }

  private tell(kind: ResourceKind, key: string): void {
    if (this.resources === undefined) return; // told when the first reading is done
    const resource = find(this.resources, kind, key);
    if (resource !== undefined) for (const listener of this.resourceListeners) listener(resource);
    else for (const listener of this.absentListeners) listener(kind, key);
  }

  private async load(): Promise<void> {
    const { resources, problems } = await readMesh(this.file);
    const told = problems.map(formatProblem);
    if (resources === undefined) {
      throw new MeshFileError(`${this.file} cannot be used:\n  ${told.join('\n  ')}`);
    }
    for (const problem of told) this.log.warn({ file: this.file }, problem);
    // An edit during the first reading was read meanwhile, and is newer.
    if (this.resources === undefined) this.take(resources);
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
    this.take(resources);
  }

  private take(resources: Resources): void {
    const before = this.resources;
    this.resources = resources;
    for (const id of this.wanted) {
      const [kind, key] = id.split(' ', 2) as [ResourceKind, string]; // as want() joined them
      const old = before === undefined ? undefined : find(before, kind, key);
      if (before === undefined || old?.version !== find(resources, kind, key)?.version) this.tell(kind, key);
    }
  }
}

function find(resources: Resources, kind: ResourceKind, key: string): Resource | undefined {
  return kind === 'service' ? resources.services.get(key) : resources.gateways.get(key);
}

function unreadable(error: Error): Problem {
  return { severity: 'error', field: '', value: '', message: error.message, meant: '' };
}
