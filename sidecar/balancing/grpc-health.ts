/** The call of the gRPC health checking protocol (grpc/grpc, doc/health-checking.md). */
export const HEALTH_METHOD = '/grpc.health.v1.Health/Check';

/** Compressed flag and length of a message (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
const PREFIX_BYTES = 5;
/** HealthCheckRequest.service: field 1, length-delimited. */
const SERVICE_KEY = 0x0a;
/** HealthCheckResponse.status: field 1, varint. */
const STATUS_KEY = 0x08;

/** Wire types of Protocol Buffers. */
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

const STATUS_NAMES: readonly string[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** A HealthCheckRequest with its prefix; '' asks for the whole server. */
export function healthCheckRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? [] : [SERVICE_KEY, ...varint(name.length)];
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(field.length + name.length, 1);
  return Buffer.concat([prefix, Buffer.from(field), name]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** The status in a HealthCheckResponse with its prefix, in words (`SERVING`), or undefined if it is none. */
export function servingStatus(bytes: Buffer): string | undefined {
  // A client that names no compression gets none.
  if (bytes.length < PREFIX_BYTES || bytes[0] !== 0) return undefined;
  if (bytes.readUInt32BE(1) !== bytes.length - PREFIX_BYTES) return undefined;
  const reader = new MessageReader(bytes, PREFIX_BYTES);
  let status = 0;
  while (reader.more) {
    const key = reader.varint();
    if (key === STATUS_KEY) status = reader.varint();
    else reader.skip(key & 7);
  }
  return reader.whole ? (STATUS_NAMES[status] ?? `status ${status}`) : undefined;
}

/** Reads fields of Protocol Buffers; what is malformed ends it. */
class MessageReader {
  whole = true;
  private at: number;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes;
    this.at = start;
  }

  get more(): boolean {
    return this.whole && this.at < this.bytes.length;
  }

  /** Up to 32 bits: neither a field's key nor an enumeration has more. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.whole = false;
    return 0;
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.skipVarint();
    else if (wireType === LENGTH_DELIMITED) this.advance(this.varint());
    else if (wireType === FIXED_32) this.advance(4);
    else if (wireType === FIXED_64) this.advance(8);
    else this.whole = false;
  }

  private skipVarint(): void {
    for (let byte = 0x80; byte >= 0x80; ) byte = this.bytes[this.at++] ?? this.broken();
  }

  private advance(count: number): void {
    this.at += count;
    if (this.at > this.bytes.length) this.broken();
  }

  private broken(): number {
    this.whole = false;
    return 0;
  }
}
