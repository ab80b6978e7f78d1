import { connect, type Socket } from 'node:net';
import { until } from '../fixture/wait.ts';

/** Frame types of RFC 9113 section 6. */
export const FRAME = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  reset: 0x3,
  settings: 0x4,
  ping: 0x6,
  goaway: 0x7,
  window: 0x8,
  continuation: 0x9,
} as const;
const ACK = 0x1;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
/** Error code of a connection that does too much (RFC 9113 section 7). */
export const ENHANCE_YOUR_CALM = 0xb;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const FRAME_HEAD_BYTES = 9;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Header block of a request to `app.t`, without the compression table (RFC 7541 appendix A has the indexes). */
export function requestBlock(method: 'GET' | 'POST', path = '/'): Buffer {
  const authority = literal(1, 'app.t');
  return Buffer.concat([Buffer.from([method === 'GET' ? 0x82 : 0x83, 0x86]), literal(4, path), authority]);
}

/** A field with an indexed name of the static table and a literal value, not kept in the table. */
function literal(nameIndex: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([nameIndex, value.length]), Buffer.from(value, 'latin1')]);
}

/** A field with a literal name and value that the table keeps; each at most 126 and 16,000 bytes long. */
export function keptField(name: string, value: string): Buffer {
  const rest = value.length - 127;
  const length = rest < 0 ? [value.length] : [127, (rest & 0x7f) | 0x80, rest >> 7];
  return Buffer.concat([
    Buffer.from([0x40, name.length]),
    Buffer.from(name),
    Buffer.from(length),
    Buffer.from(value),
  ]);
}

/** A client that sends frames as it likes. */
export interface RawSession {
  readonly socket: Socket;
  readonly closed: boolean;
  /** Error code of the GOAWAY that came; undefined before. */
  readonly goaway: number | undefined;
  /** How many frames of a type came. */
  count(type: number): number;
  /** Resolves when more may be written; false: the connection is over. */
  write(bytes: Buffer): Promise<boolean>;
  /** Waits until the connection is over. */
  untilClosed(): Promise<void>;
}

/** Connects and exchanges settings; closed by the caller. `settings`: payload of its SETTINGS. */
export async function rawSession(address: string, settings: Buffer = Buffer.alloc(0)): Promise<RawSession> {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port), noDelay: true });
  const counts = new Map<number, number>();
  const state = { closed: false, goaway: undefined as number | undefined };
  let unread: Buffer = Buffer.alloc(0);
  socket.on('error', () => {}); // told by its close
  socket.on('close', () => {
    state.closed = true;
  });
  socket.on('data', (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + unread.readUIntBE(0, 3);
      if (unread.length < end) break;
      const type = unread[3] ?? 0;
      counts.set(type, (counts.get(type) ?? 0) + 1);
      if (type === FRAME.goaway) state.goaway = unread.readUInt32BE(FRAME_HEAD_BYTES + 4);
      unread = unread.subarray(end);
    }
  });
  socket.write(PREFACE);
  socket.write(frame(FRAME.settings, 0, 0, settings));
  await until('the settings of the server', () => (counts.get(FRAME.settings) ?? 0) > 0 || state.closed);
  socket.write(frame(FRAME.settings, ACK, 0));
  return {
    socket,
    get closed() {
      return state.closed;
    },
    get goaway() {
      return state.goaway;
    },
    count: (type) => counts.get(type) ?? 0,
    async write(bytes) {
      if (state.closed || state.goaway !== undefined) return false;
      if (socket.write(bytes)) await new Promise((resolve) => setImmediate(resolve));
      else
        await new Promise<void>((resolve) => {
          socket.once('drain', resolve);
          socket.once('close', resolve);
        });
      return !state.closed && state.goaway === undefined;
    },
    untilClosed: () => until('the end of the connection', () => state.closed),
  };
}
