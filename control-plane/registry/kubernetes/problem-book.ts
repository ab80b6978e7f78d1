import { isDeepStrictEqual } from 'node:util';
import type { ObjectProblem } from './object-problem.ts';

/** All that is wrong in the cluster's objects, by what it was found in. */
export class ProblemBook {
  private readonly byTopic = new Map<string, readonly ObjectProblem[]>();
  private changed = false;

  /** Takes the place of what was found in `topic` before. */
  set(topic: string, problems: readonly ObjectProblem[]): void {
    const before = this.byTopic.get(topic) ?? [];
    if (isDeepStrictEqual(before, problems)) return;
    this.changed = true;
    if (problems.length === 0) this.byTopic.delete(topic);
    else this.byTopic.set(topic, problems);
  }

  get(topic: string): readonly ObjectProblem[] {
    return this.byTopic.get(topic) ?? [];
  }

  all(): ObjectProblem[] {
    return [...this.byTopic.values()].flat();
  }

  /** Whether anything changed since it was asked last. */
  takeChanged(): boolean {
    const { changed } = this;
    this.changed = false;
    return changed;
  }
}
