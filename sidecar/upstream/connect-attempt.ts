import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Connector } from './connector.ts';

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
        detail: `TLS with ${address} failed: ${error?.message ?? 'the peer closed during the handshake'}`,
      };
    }
    return { code: 'connect-failed', detail: `connect to ${address}: ${code}` };
  }
}
