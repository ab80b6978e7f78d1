/** No name is longer (RFC 1035); a longer one, of which each label would be looked up, is an attack. */
export const MAX_HOST = 255;

/**
 * What is meant by host names of the Gateway API, found by a host: the exact name wins, then the longest
 * wildcard, then what is for every host.
 */
export class ByHost<T extends object> {
  private readonly exact = new Map<string, T>();
  /** By what follows the star: `.example.com`. */
  private readonly below = new Map<string, T>();
  private all: T | undefined = undefined;

  /** `hostname`: undefined means every host. The first that takes a name keeps it. */
  add(hostname: string | undefined, value: T): void {
    if (hostname === undefined || hostname === '' || hostname === '*') {
      this.all ??= value;
      return;
    }
    const name = hostname.toLowerCase();
    const [names, key] = name.startsWith('*.') ? [this.below, name.slice(1)] : [this.exact, name];
    if (!names.has(key)) names.set(key, value);
  }

  /** `host` in lower case, without port; '' when none was named. */
  find(host: string): T | undefined {
    if (this.exact.size > 0) {
      const own = this.exact.get(host);
      if (own !== undefined) return own;
    }
    if (this.below.size > 0 && host.length <= MAX_HOST) {
      // From the second character on: a wildcard stands for one label at least.
      for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
        const wide = this.below.get(host.slice(dot));
        if (wide !== undefined) return wide;
      }
    }
    return this.all;
  }

  get isEmpty(): boolean {
    return this.all === undefined && this.exact.size === 0 && this.below.size === 0;
  }

  *values(): Generator<T> {
    yield* this.exact.values();
    yield* this.below.values();
    if (this.all !== undefined) yield this.all;
  }
}
