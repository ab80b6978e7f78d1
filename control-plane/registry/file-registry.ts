import { readFileSync } from 'node:fs';
import type { Mesh } from '../../protocol/mesh.ts';
import { parseMesh } from '../../protocol/mesh-file.ts';
import { formatProblem, type Problem } from '../../protocol/problem.ts';
import { type Resource, type ResourceKind, type Resources, resourcesOf } from '../../protocol/resources.ts';
import { watchFile } from '../../protocol/watch-file.ts';
import type { Log } from '../log.ts';
import type { Change, Registry } from './registry.ts';

/** A mesh.yaml that cannot be used at the start. */
class MeshFileError extends Error {
  readonly code = 'ERR_TULLE_MESH_FILE';
}

/** Serves a mesh.yaml and follows it. A broken edit leaves the last good state in force, and is told. Throws MeshFileError. */
export function openFileRegistry(file: string, log: Log): FileRegistry {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshFileError(
      `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
  }
  const first = parseMesh(text, file);
  const told = first.problems.map(formatProblem);
  if (first.mesh === undefined) throw new MeshFileError(`${file} cannot be used:\n  ${told.join('\n  ')}`);
  return new FollowedFile(file, text, first.mesh, first.problems, log);
}

/** The registry of a mesh.yaml. */
export interface FileRegistry extends Registry {
  /** Where quotas are counted, as the file said at the start. */
  readonly quotaStore: string;
}

class FollowedFile implements FileRegistry {
  readonly quotaStore: string;
  private readonly file: string;
  private readonly log: Log;
  private resources: Resources;
  private problems: readonly string[] = [];
  private current = true;
  private readonly listeners: ((changes: readonly Change[]) => void)[] = [];
  private readonly watcher: { close(): void };

  constructor(file: string, text: string, mesh: Mesh, problems: readonly Problem[], log: Log) {
    this.file = file;
    this.resources = resourcesOf(mesh);
    this.quotaStore = mesh.quotas.store;
    this.log = log;
    this.tell(problems);
    this.watcher = watchFile(file, (edited) => this.reload(edited), text);
  }

  get trustDomain(): string {
    return this.resources.trustDomain;
  }

  get(kind: ResourceKind, key: string): Resource | undefined {
    if (kind === 'service') return this.resources.services.get(key);
    return kind === 'gateway' ? this.resources.gateways.get(key) : undefined;
  }

  onChange(listener: (changes: readonly Change[]) => void): void {
    this.listeners.push(listener);
  }

  state(): { problems: readonly string[]; current: boolean } {
    return { problems: this.problems, current: this.current };
  }

  close(): void {
    this.watcher.close();
  }

  private tell(problems: readonly Problem[]): void {
    this.problems = problems.map(formatProblem);
    for (const problem of this.problems) this.log.warn({ file: this.file }, problem);
  }

  private reload(text: string): void {
    const { mesh, problems } = parseMesh(text, this.file);
    this.tell(problems);
    if (mesh === undefined) {
      this.current = false;
      this.log.error({ file: this.file }, 'the edited file cannot be used: the last good one stays in force');
      return;
    }
    if (mesh.trustDomain !== this.resources.trustDomain) {
      this.current = false;
      this.log.error(
        { file: this.file },
        `trustDomain cannot change while running (${this.resources.trustDomain} to ${mesh.trustDomain}): the last good file stays in force`,
      );
      return;
    }
    if (mesh.quotas.store !== this.quotaStore)
      this.log.warn({ file: this.file }, 'quotas.store is used from the next start on');
    this.current = true;
    const before = this.resources;
    this.resources = resourcesOf(mesh);
    const changes = [
      ...differences('service', before.services, this.resources.services),
      ...differences('gateway', before.gateways, this.resources.gateways),
    ];
    this.log.info({ file: this.file, changes: changes.length }, 'the edited file is in force');
    if (changes.length > 0) for (const listener of this.listeners) listener(changes);
  }
}

/** The resources of a kind that are not as before. */
function differences(
  kind: ResourceKind,
  before: ReadonlyMap<string, Resource>,
  after: ReadonlyMap<string, Resource>,
): Change[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys]
    .filter((key) => before.get(key)?.version !== after.get(key)?.version)
    .map((key) => ({ kind, key }));
}
