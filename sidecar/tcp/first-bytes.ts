import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { type ClientHello, looksLikeTls, readClientHello } from './client-hello.ts';
import { type DetectedProtocol, detectExpected, type Expected } from './detect.ts';

/** How long to wait for what, in ms. */
export interface DetectLimits {
  /** For a protocol that is not known: after it, the server is taken to speak first. */
  readonly detectMs: number;
  /** For the rest of a TLS hello, however it trickles in. */
  readonly headMs: number;
  /** For the first byte, where only a client can speak first. */
  readonly idleMs: number;
}

/** What the first bytes said. */
export interface FirstBytes {
  /** `silent`: nothing that tells came in time. */
  readonly protocol: DetectedProtocol | 'silent';
  /** All that was read; valid until the call returns. */
  readonly bytes: Buffer;
  /** What a TLS client asks for; undefined if its hello cannot be read. */
  readonly hello: ClientHello | undefined;
}

const NOTHING = Buffer.alloc(0);

/**
 * Reads a connection until its protocol is known, then hands it on, once: whoever gets it sets another
 * reader. A client that leaves before, or whose hello takes too long, is only closed.
 */
export class FirstBytesReader implements TransportReader, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private transport: Transport | undefined = undefined;
  private readonly wheel: TimerWheel;
  private readonly limits: DetectLimits;
  private readonly expected: Expected;
  private readonly onKnown: (first: FirstBytes) => void;
  private readonly onLost: () => void;
  private seen: Buffer = NOTHING;
  private inHello = false;

  constructor(
    wheel: TimerWheel,
    limits: DetectLimits,
    expected: Expected,
    onKnown: (first: FirstBytes) => void,
    onLost: () => void,
  ) {
    this.wheel = wheel;
    this.limits = limits;
    this.expected = expected;
    this.onKnown = onKnown;
    this.onLost = onLost;
  }

  /** Begins to read `transport`, whose reader is this. */
  open(transport: Transport): void {
    this.transport = transport;
    const { detectMs, idleMs } = this.limits;
    this.wheel.arm(this, this.expected === 'http' ? idleMs : detectMs);
    transport.resume();
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    const added = bytes.subarray(start, end);
    const whole = this.seen.length === 0 ? added : Buffer.concat([this.seen, added]);
    const protocol = detectExpected(this.expected, whole);
    const hello = protocol === 'tls' ? readClientHello(whole) : undefined;
    if (protocol !== 'more' && hello !== 'more') {
      this.known({ protocol, bytes: whole, hello });
      return;
    }
    const first = this.seen.length === 0;
    this.seen = first ? Buffer.from(added) : whole;
    if (!first) return;
    // What begins as a hello may be one of the mesh: it is waited for, and never passed on in part.
    this.inHello = looksLikeTls(whole[0]);
    if (this.inHello || this.expected === 'http') this.wheel.arm(this, this.limits.headMs);
  }

  onDeadline(): void {
    if (this.inHello || (this.expected === 'http' && this.seen.length === 0)) this.transport?.destroy();
    else this.unknown('silent');
  }

  /** The client has said all that it has to say. Who said nothing on a port that may be HTTP wanted nothing. */
  onEnd(): void {
    if (this.inHello || (this.expected !== 'opaque' && this.seen.length === 0)) this.transport?.destroy();
    else this.unknown('opaque');
  }

  private unknown(otherwise: 'opaque' | 'silent'): void {
    const protocol = this.expected === 'http' ? 'http1' : otherwise;
    this.known({ protocol, bytes: this.seen, hello: undefined });
  }

  private known(first: FirstBytes): void {
    this.wheel.disarm(this);
    this.seen = NOTHING;
    this.onKnown(first);
  }

  /** Closes the connection if nothing was said on it yet. */
  drain(): void {
    if (this.seen.length === 0) this.transport?.destroy();
  }

  destroy(): void {
    this.transport?.destroy();
  }

  onDrain(): void {}

  onClosed(): void {
    this.wheel.disarm(this);
    this.onLost();
  }
}
