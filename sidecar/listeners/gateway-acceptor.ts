import type { Log } from '../log.ts';
import { type Acceptor, accept } from './accept.ts';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export interface GatewayAcceptorParts {
  /** HOST:PORT. */
  readonly address: string;
  /** Other processes listen there too. */
  readonly reusePort: boolean;
  readonly log: Log;
  readonly onSocket: Parameters<typeof accept>[1];
}

/** A listening socket that is opened whenever that becomes possible. */
export class GatewayAcceptor {
  private readonly parts: GatewayAcceptorParts;
  private acceptor: Acceptor | undefined = undefined;
  private retry: NodeJS.Timeout | undefined = undefined;
  private retryMs = FIRST_RETRY_MS;
  private stopped = false;
  /** Why it does not accept, since the last attempt; undefined while there was none. */
  error: string | undefined = undefined;

  constructor(parts: GatewayAcceptorParts) {
    this.parts = parts;
    void this.open();
  }

  get accepts(): boolean {
    return this.acceptor !== undefined;
  }

  private async open(): Promise<void> {
    const { address, onSocket, reusePort, log } = this.parts;
    try {
      const acceptor = await accept(address, onSocket, reusePort);
      if (this.stopped) {
        acceptor.stop();
        return;
      }
      this.acceptor = acceptor;
      this.error = undefined;
      log.info({ address: acceptor.address }, 'a listener of the Gateway accepts');
    } catch (error) {
      this.failed(error instanceof Error ? error.message : String(error));
    }
  }

  private failed(error: string): void {
    if (this.stopped) return;
    const { address, log } = this.parts;
    if (this.error !== error)
      log.error(
        { address, error },
        'a port of the Gateway cannot be opened: it is tried again, other ports go on',
      );
    this.error = error;
    this.retry = setTimeout(() => void this.open(), this.retryMs);
    this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.acceptor?.stop();
    this.acceptor = undefined;
  }
}
