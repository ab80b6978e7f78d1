import { Pool } from 'undici';

/** A bounded, open-loop load: so many requests a second, whatever the answers take. */
export class Load {
  sent = 0;
  succeeded = 0;
  failed = 0;
  /** Status or error of failures to their number. */
  readonly failures = new Map<string, number>();
  private readonly pool: Pool;
  private readonly perSecond: number;
  private timer: NodeJS.Timeout | undefined = undefined;
  private startedMs = 0;
  private inFlight = 0;
  private readonly maxInFlight: number;

  constructor(gateway: string, perSecond: number) {
    this.perSecond = perSecond;
    this.maxInFlight = Math.max(64, perSecond * 2);
    this.pool = new Pool(`http://${gateway}`, { connections: 32, pipelining: 1 });
  }

  start(): void {
    this.startedMs = performance.now();
    this.timer = setInterval(() => this.catchUp(), 10);
  }

  /** Stops sending, and waits for the answers that are still to come. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.pool.close();
  }

  private catchUp(): void {
    const due = Math.floor(((performance.now() - this.startedMs) / 1000) * this.perSecond);
    while (this.sent < due) {
      this.sent++;
      if (this.inFlight >= this.maxInFlight) this.count('not sent: too many in flight');
      else void this.send();
    }
  }

  private async send(): Promise<void> {
    this.inFlight++;
    try {
      const { statusCode, body } = await this.pool.request({
        method: 'GET',
        path: '/',
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
      });
      await body.dump();
      if (statusCode === 200) this.succeeded++;
      else this.count(String(statusCode));
    } catch (error) {
      this.count((error as NodeJS.ErrnoException).code ?? 'error');
    } finally {
      this.inFlight--;
    }
  }

  private count(what: string): void {
    this.failed++;
    this.failures.set(what, (this.failures.get(what) ?? 0) + 1);
  }
}
