/** How a stream ended, as far as late frames on it are concerned. */
export const FORGOTTEN = 0;
/** Both directions ended, or the peer reset it: a late frame is the peer's fault. */
export const ENDED = 1;
/** We reset it: frames that were under way are ignored (RFC 9113 section 5.1). */
export const RESET = 2;

const REMEMBERED = 256;

/** The streams that ended last. */
export class ClosedStreams {
  private readonly ids = new Int32Array(REMEMBERED);
  private readonly how = new Uint8Array(REMEMBERED);
  private next = 0;

  add(streamId: number, how: number): void {
    this.ids[this.next] = streamId;
    this.how[this.next] = how;
    this.next = (this.next + 1) % REMEMBERED;
  }

  /** The peer has reset, too, what we reset. False: that was not so, or once already. */
  endReset(streamId: number): boolean {
    const index = this.ids.indexOf(streamId);
    if (index < 0 || this.how[index] !== RESET) return false;
    this.how[index] = ENDED;
    return true;
  }

  /** FORGOTTEN, ENDED or RESET. */
  find(streamId: number): number {
    const index = this.ids.indexOf(streamId);
    return index < 0 ? FORGOTTEN : (this.how[index] as number); // index is below REMEMBERED
  }
}
