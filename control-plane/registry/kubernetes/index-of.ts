/** Keys under a term by which they are found. An empty term costs nothing. */
export class IndexOf {
  private readonly byTerm = new Map<string, Set<string>>();

  add(term: string, key: string): void {
    const keys = this.byTerm.get(term);
    if (keys === undefined) this.byTerm.set(term, new Set([key]));
    else keys.add(key);
  }

  delete(term: string, key: string): void {
    const keys = this.byTerm.get(term);
    if (keys?.delete(key) && keys.size === 0) this.byTerm.delete(term);
  }

  get(term: string): ReadonlySet<string> {
    return this.byTerm.get(term) ?? NOTHING;
  }
}

const NOTHING: ReadonlySet<string> = new Set();
