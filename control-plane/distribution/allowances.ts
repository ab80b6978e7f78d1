/** What one of several may still have, in bytes. */
export interface Allowance {
  /** false: it is too much, and nothing was taken. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** So much for each, as long as it is used. */
export class Allowances {
  private readonly used = new Map<string, number>();
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  of(name: string): Allowance {
    return {
      take: (bytes) => {
        const used = (this.used.get(name) ?? 0) + bytes;
        if (used > this.most) return false;
        this.used.set(name, used);
        return true;
      },
      giveBack: (bytes) => {
        const used = (this.used.get(name) ?? 0) - bytes;
        if (used > 0) this.used.set(name, used);
        else this.used.delete(name);
      },
    };
  }
}
