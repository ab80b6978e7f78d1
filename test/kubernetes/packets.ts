/** A TCP segment that carries something. */
interface Segment {
  readonly from: string;
  readonly to: string;
  readonly payload: Buffer;
}

/** What was seen between pods. */
export interface Sightings {
  readonly segments: readonly Segment[];
  readonly clientHellos: number;
  /** Versions that servers chose, like 0x0304 for TLS 1.3. */
  readonly chosenVersions: readonly number[];
  /** First bytes of segments that begin a request or a response of HTTP as plain text. */
  readonly plainHttp: readonly string[];
}

/** TLS 1.3 (RFC 8446 section 4.1.2). */
export const TLS_1_3 = 0x0304;

const MAGIC = 0xa1b2c3d4;
/** Ethernet, and Linux's cooked captures of `-i any` (versions 1 and 2): where the IP packet begins. */
const IP_OFFSET: Readonly<Record<number, number>> = { 1: 14, 113: 16, 276: 20 };
const TCP = 6;
const HANDSHAKE = 22;
const [CLIENT_HELLO, SERVER_HELLO] = [1, 2];
const SUPPORTED_VERSIONS = 43;
const PLAIN_HTTP =
  /^(?:(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) \S+ HTTP\/|HTTP\/1\.|PRI \* HTTP\/2\.0)/;

/** Reads a capture in pcap's format. Throws an Error when it is none. */
export function readPackets(capture: Buffer): Sightings {
  const segments = packetsOf(capture).flatMap((packet) => segmentOf(packet) ?? []);
  const hellos = segments.filter(({ payload }) => payload[0] === HANDSHAKE && payload[1] === 3);
  const servers = hellos.filter(({ payload }) => payload[5] === SERVER_HELLO);
  return {
    segments,
    clientHellos: hellos.filter(({ payload }) => payload[5] === CLIENT_HELLO).length,
    chosenVersions: servers.map(({ payload }) => chosenVersion(payload)),
    plainHttp: segments
      .map(({ payload }) => payload.toString('latin1', 0, 120))
      .filter((text) => PLAIN_HTTP.test(text)),
  };
}

/** The IP packets of a capture in this machine's byte order. */
function packetsOf(capture: Buffer): Buffer[] {
  if (capture.length < 24 || capture.readUInt32LE(0) !== MAGIC) throw new Error('not a capture of pcap');
  const offset = IP_OFFSET[capture.readUInt32LE(20)];
  if (offset === undefined) throw new Error(`a capture of link type ${capture.readUInt32LE(20)}`);
  const packets: Buffer[] = [];
  for (let at = 24; at + 16 <= capture.length; ) {
    const length = capture.readUInt32LE(at + 8);
    packets.push(capture.subarray(at + 16 + offset, at + 16 + length));
    at += 16 + length;
  }
  return packets;
}

function segmentOf(packet: Buffer): Segment | undefined {
  const version = (packet[0] ?? 0) >> 4;
  const isTcp = version === 4 ? packet[9] === TCP : version === 6 && packet[6] === TCP;
  if (!isTcp) return undefined;
  const [header, end] =
    version === 4 ? [((packet[0] ?? 0) & 15) * 4, packet.readUInt16BE(2)] : [40, 40 + packet.readUInt16BE(4)];
  const tcp = packet.subarray(header, end);
  const payload = tcp.subarray(((tcp[12] ?? 0) >> 4) * 4);
  if (payload.length === 0) return undefined;
  const [from, to] =
    version === 4
      ? [packet.subarray(12, 16), packet.subarray(16, 20)]
      : [packet.subarray(8, 24), packet.subarray(24, 40)];
  return { from: addressOf(from, tcp.readUInt16BE(0)), to: addressOf(to, tcp.readUInt16BE(2)), payload };
}

function addressOf(ip: Buffer, port: number): string {
  return ip.length === 4
    ? `${ip.join('.')}:${port}`
    : `[${ip.toString('hex').match(/.{4}/g)?.join(':')}]:${port}`;
}

/** A ServerHello's version: TLS 1.3 says it in an extension (RFC 8446 section 4.2.1). */
function chosenVersion(record: Buffer): number {
  const hello = record.subarray(9);
  const sessionId = hello[34] ?? 0;
  const extensions = hello.subarray(35 + sessionId + 3 + 2);
  for (let at = 0; at + 4 <= extensions.length; ) {
    const length = extensions.readUInt16BE(at + 2);
    if (extensions.readUInt16BE(at) === SUPPORTED_VERSIONS) return extensions.readUInt16BE(at + 4);
    at += 4 + length;
  }
  return hello.readUInt16BE(0);
}
