import { parseMesh } from '../../protocol/mesh-file.ts';
import { type Resources, resourcesOf } from '../../protocol/resources.ts';
import type { Change, Registry } from './file-registry.ts';

/** For tests: a registry that is told what there is. */
export class MemoryRegistry implements Registry {
  readonly trustDomain = 'mesh.local';
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

  get(kind: 'service' | 'gateway', key: string) {
    return kind === 'service' ? this.resources.services.get(key) : this.resources.gateways.get(key);
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
