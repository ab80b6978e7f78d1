/** Every window begins with this many bytes (RFC 9113 section 6.9.2). */
export const INITIAL_WINDOW = 65_535;
export const MAX_WINDOW = 0x7fff_ffff;

/**
 * What a peer may send us, of a stream or of the whole connection. Credit is given back in lumps of half
 * the window, so that a WINDOW_UPDATE is rare and the sender still never stands still.
 */
export class ReceiveWindow {
  private readonly size: number;
  /** Bytes that the peer may still send. */
  private left: number;
  /** Bytes that came and were not given back. */
  private used = 0;

  /** `size`: what the window is meant to be; `granted`: what the peer thinks it is. */
  constructor(size: number, granted = size) {
    this.size = size;
    this.left = granted;
  }

  /** Takes `bytes` that came. False: the peer sent more than it may. */
  take(bytes: number): boolean {
    this.left -= bytes;
    this.used += bytes;
    return this.left >= 0;
  }

  /** Bytes to give back now: 0 while it is not worth a frame. */
  credit(): number {
    if (this.used * 2 < this.size) return 0;
    const bytes = this.used;
    this.used = 0;
    this.left += bytes;
    return bytes;
  }
}
