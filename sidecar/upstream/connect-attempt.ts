import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import type { Connector } from './connector.ts';
import { tlsWords } from './tls-words.ts';

export interface ConnectFailure {
  readonly code: 'connect-failed' | 'connect-timeout' | 'upstream-tls' | 'pool-full';
  readonly detail: string;
}

/** The time limit of one connect, and the reason when it fails. */
export class ConnectAttempt implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  pending = true;
  refusal: string | undefined = undefined;
  private timedOut = false;
  private readonly limitMs: number;
  private readonly wheel: TimerWheel;
  private readonly giveUp: () => void;

  constructor(limitMs: number, wheel: TimerWheel, giveUp: () => void) {
    this.limitMs = limitMs;
    this.wheel = wheel;
    this.giveUp = giveUp;
    wheel.arm(this, limitMs);
  }

  over(): void {
    this.pending = false;
    this.wheel.disarm(this);
  }

  onDeadline(): void {
    this.timedOut = true;
    this.giveUp();
  }

  failure(error: Error | undefined, connector: Connector, address: string): ConnectFailure {
    if (this.timedOut)
      return { code: 'connect-timeout', detail: `no connection to ${address} within ${this.limitMs} ms` };
    if (this.refusal !== undefined) return { code: 'upstream-tls', detail: `${address}: ${this.refusal}` };
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? 'closed';
    const system = (error as NodeJS.ErrnoException | undefined)?.syscall === 'connect';
    if (connector.readyEvent === 'secureConnect' && !system) {
      return {
        code: 'upstream-tls',
        detail: `TLS with ${address} failed: ${tlsWords(error)}`,
      };
    }
    return { code: 'connect-failed', detail: `connect to ${address}: ${code}` };
  }
}

/** Where to connect, and for how long at most. */
interface ConnectTarget {
  readonly connector: Connector;
  readonly address: string;
  readonly connectMs: number;
  readonly wheel: TimerWheel;
}

/** What comes of a connect: `onSettled` once, then one of the others. */
interface ConnectOutcome {
  /** It is no longer on its way. */
  onSettled(): void;
  /** The peer is the one that was meant. */
  onReady(): void;
  onFailed(failure: ConnectFailure): void;
}

/** Opens the transport of a connection to a pool's endpoint. A peer that is not the one that was meant is let go. */
export function openTransport(
  connection: TransportReader & { transport: Transport },
  { connector, address, connectMs, wheel }: ConnectTarget,
  outcome: ConnectOutcome,
): void {
  const attempt = new ConnectAttempt(connectMs, wheel, () => connection.transport.destroy());
  let error: Error | undefined;
  connection.transport = Transport.connect(connection, (onread) => {
    const socket = connector.open(onread);
    socket.once(connector.readyEvent, () => {
      attempt.over();
      outcome.onSettled();
      attempt.refusal = connector.verify(socket);
      if (attempt.refusal === undefined) outcome.onReady();
      else connection.transport.destroy();
    });
    socket.once('error', (reason: Error) => {
      error = reason;
    });
    socket.once('close', () => {
      const failed = attempt.pending || attempt.refusal !== undefined;
      if (attempt.pending) outcome.onSettled();
      attempt.over();
      if (failed) outcome.onFailed(attempt.failure(error, connector, address));
    });
    return socket;
  });
}
