import type { ResourceKind } from '../../../protocol/resources.ts';
import type { Change } from '../registry.ts';
import { IndexOf } from './index-of.ts';
import type { Known } from './known-objects.ts';
import type { Subject } from './known-workloads.ts';
import { type ResourceName, resourceName } from './resource-name.ts';
import type { ResourceView } from './resource-view.ts';

interface Followed {
  readonly kind: ResourceKind;
  readonly key: string;
  readonly name: ResourceName;
  view: ResourceView;
  followers: number;
}

/** The resources that somebody follows: only of those is it worked out what they look like now. */
export class FollowedResources {
  private readonly known: Known;
  private readonly followed = new Map<string, Followed>();
  private readonly bySubject = new IndexOf();

  constructor(known: Known) {
    this.known = known;
  }

  /** What is there now, from what was worked out before where it is followed. */
  view(kind: ResourceKind, key: string): ResourceView | undefined {
    return this.followed.get(`${kind} ${key}`)?.view ?? resourceName(kind, key)?.read(this.known);
  }

  follow(kind: ResourceKind, key: string): void {
    const id = `${kind} ${key}`;
    const there = this.followed.get(id);
    if (there !== undefined) {
      there.followers++;
      return;
    }
    const name = resourceName(kind, key);
    if (name === undefined) return;
    this.followed.set(id, { kind, key, name, view: name.read(this.known), followers: 1 });
    this.bySubject.add(name.subject, id);
  }

  unfollow(kind: ResourceKind, key: string): void {
    const id = `${kind} ${key}`;
    const there = this.followed.get(id);
    if (there === undefined || --there.followers > 0) return;
    this.followed.delete(id);
    this.bySubject.delete(there.name.subject, id);
  }

  /** Works out anew what may have changed; what did. */
  update(subjects: Iterable<Subject>): Change[] {
    const changes: Change[] = [];
    for (const subject of subjects) {
      for (const id of this.bySubject.get(subject)) {
        const there = this.followed.get(id);
        if (there === undefined) continue;
        const before = there.view.version;
        there.view = there.name.read(this.known);
        if (there.view.version !== before) changes.push({ kind: there.kind, key: there.key });
      }
    }
    return changes;
  }
}
