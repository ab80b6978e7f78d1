/** A flag, and the length in four bytes (PROTOCOL-HTTP2.md, Length-Prefixed-Message). */
const PREFIX_BYTES = 5;

/** Follows the messages of one direction of a gRPC call, to know whether one is whole. */
export class LengthPrefixedMessages {
  private prefixBytes = 0;
  private length = 0;
  /** Of the message that is being followed. */
  private bytesLeft = 0;

  /** No message has begun that did not end. */
  get between(): boolean {
    return this.prefixBytes === 0 && this.bytesLeft === 0;
  }

  follow(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.bytesLeft > 0) {
        const taken = Math.min(this.bytesLeft, end - at);
        this.bytesLeft -= taken;
        at += taken;
      } else {
        this.followPrefix(bytes[at] as number); // at < end
        at++;
      }
    }
  }

  private followPrefix(byte: number): void {
    this.length = this.prefixBytes === 0 ? 0 : this.length * 256 + byte;
    this.prefixBytes++;
    if (this.prefixBytes < PREFIX_BYTES) return;
    this.prefixBytes = 0;
    this.bytesLeft = this.length;
  }
}
