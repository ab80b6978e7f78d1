import { parseMesh } from '../../protocol/mesh-file.ts';
import { type Resource, type ResourceKind, type Resources, resourcesOf } from '../../protocol/resources.ts';
import type { Change, Registry } from './registry.ts';

/** For tests: a registry that is told what there is. */
export class MemoryRegistry implements Registry {
  readonly trustDomain = 'mesh.local';
  /** What is followed, in the order in which it began. */
  readonly followed: string[] = [];
  private resources: Resources;
  private readonly listeners: ((changes: readonly Change[]) => void)[] = [];

  constructor(mesh: object) {
    this.resources = read(mesh);
  }

  /** Takes a new mesh and tells of `keys` of services, whether they differ or not. */
  change(mesh: object, ...keys: string[]): void {
    this.resources = read(mesh);
    for (const listener of this.listeners) listener(keys.map((key) => ({ kind: 'service', key })));
  }

  get(kind: ResourceKind, key: string): Resource | undefined {
    if (kind === 'service') return this.resources.services.get(key);
    return kind === 'gateway' ? this.resources.gateways.get(key) : undefined;
  }

  follow(kind: string, key: string): void {
    this.followed.push(`${kind} ${key}`);
  }

  unfollow(kind: string, key: string): void {
    this.followed.splice(this.followed.indexOf(`${kind} ${key}`), 1);
  }

  onChange(listener: (changes: readonly Change[]) => void): void {
    this.listeners.push(listener);
  }

  state() {
    return { problems: [], current: true };
  }

  close(): void {}
}

function read(mesh: object): Resources {
  const parsed = parseMesh(JSON.stringify(mesh), 'mesh.yaml');
  if (parsed.mesh === undefined) throw new Error(JSON.stringify(parsed.problems));
  return resourcesOf(parsed.mesh);
}
