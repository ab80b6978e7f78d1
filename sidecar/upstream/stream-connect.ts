import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { ConnectAttempt, type ConnectFailure } from './connect-attempt.ts';
import type { Connector } from './connector.ts';

/** Somebody who wants a connection for an opaque stream. */
export interface StreamWaiter {
  /** It is open: the waiter sets its reader before this returns. */
  onStream(transport: Transport): void;
  onStreamFailed(failure: ConnectFailure): void;
}

/** One connect for an opaque stream. */
export class StreamConnect implements TransportReader {
  private readonly transport: Transport;
  private readonly attempt: ConnectAttempt;
  private readonly waiter: StreamWaiter;
  private readonly connector: Connector;
  private readonly address: string;
  private given = false;
  private cancelled = false;

  /** `onGone`: the connection is over, however it ended. */
  constructor(
    connector: Connector,
    address: string,
    limitMs: number,
    wheel: TimerWheel,
    waiter: StreamWaiter,
    onGone: () => void,
  ) {
    this.connector = connector;
    this.address = address;
    this.waiter = waiter;
    this.attempt = new ConnectAttempt(limitMs, wheel, () => this.transport.destroy());
    this.transport = connector.openStream(this);
    this.transport.socket.once(connector.readyEvent, () => this.ready());
    this.transport.socket.once('close', onGone);
  }

  private ready(): void {
    this.attempt.over();
    if (this.cancelled) return;
    const refusal = this.connector.verify(this.transport.socket, true);
    if (refusal === undefined) {
      this.given = true;
      this.waiter.onStream(this.transport);
    } else {
      this.attempt.refusal = refusal;
      this.transport.destroy();
    }
  }

  /** Nobody wants it any more: the waiter is told nothing. */
  readonly cancel = (): void => {
    if (this.given) return;
    this.cancelled = true;
    this.transport.destroy();
  };

  onBytes(): void {}

  onEnd(): void {}

  onDrain(): void {}

  onClosed(error: Error | undefined): void {
    this.attempt.over();
    if (!this.cancelled && !this.given)
      this.waiter.onStreamFailed(this.attempt.failure(error, this.connector, this.address));
  }
}
