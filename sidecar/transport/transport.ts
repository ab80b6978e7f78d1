import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { READ_BYTES, SHARED_READ_BUFFER } from './read-buffer.ts';

/** What a transport tells its owner. Calls come one at a time, never from inside `write`. */
export interface TransportReader {
  /** Bytes `start`..`end` are valid until the call returns, unless they are passed to `forward`. */
  onBytes(bytes: Buffer, start: number, end: number): void;
  /** The peer will send no more (FIN). */
  onEnd(): void;
  /** All written bytes have left this process, after a `write` that returned false. */
  onDrain(): void;
  /** The socket is gone; called once. */
  onClosed(error: Error | undefined): void;
}

/** Up to here bytes are written as a text, joined to the head before them. */
export const SMALL_BYTES = 2048;

/** Where heads and bytes that will be read over are put together. */
const COPY_BYTES = 32 * 1024;
let copy: Buffer = Buffer.allocUnsafeSlow(COPY_BYTES);

/** `onread` of net.connect and tls.connect: reads into a given buffer, past the stream machinery. */
interface OnRead {
  buffer: () => Uint8Array;
  callback: (count: number, bytes: Uint8Array) => boolean;
}

/** What a TLS socket that made its own connection sends and reads through. */
interface TcpHandle {
  close(done: () => void): void;
  /** Other than 0: it was not done. */
  reset?(done: () => void): number;
}

/** Node has no reset for a TLS socket of its own connection: the handle beneath is closed by one. */
function resetTls(socket: TLSSocket): void {
  const carrier = (socket as TLSSocket & { _handle?: { _parent?: TcpHandle } | null })._handle?._parent;
  if (carrier?.reset !== undefined) {
    const close = carrier.close.bind(carrier);
    carrier.close = (done) => {
      if (carrier.reset?.(done) !== 0) close(done);
    };
  }
  socket.destroy();
}

/**
 * A socket without the cost of a readable stream. Reads go into the shared buffer; while a body
 * streams, into a buffer of its own, which is handed to the other side's write as it is and replaced
 * only if that write could not finish at once.
 */
export class Transport {
  socket: Socket | TLSSocket;
  reader: TransportReader;
  closed = false;
  /** The peer's FIN was seen. */
  ended = false;
  /** Reading is stopped by `pause`. */
  paused = false;
  bytesRead = 0;
  private own: Buffer | undefined = undefined;
  private streaming = false;
  private current: Buffer = SHARED_READ_BUFFER;
  private error: Error | undefined = undefined;

  /** Told once the socket is gone, after the reader. */
  onGone: { gone(transport: Transport): void } | undefined = undefined;

  private constructor(reader: TransportReader) {
    this.reader = reader;
    this.socket = undefined as unknown as Socket; // set by the two makers below before anything can happen
  }

  /** Opens a socket by `connect`, which must pass `onread` on to net.connect or tls.connect. */
  static connect(reader: TransportReader, connect: (onread: OnRead) => Socket | TLSSocket): Transport {
    const transport = new Transport(reader);
    transport.listen(connect(transport.onread()));
    return transport;
  }

  /** Takes over an accepted socket that nobody reads any more. `_handle` is the one way to give it `onread`. */
  static adopt(reader: TransportReader, accepted: Socket): Transport {
    const handle = (accepted as Socket & { _handle?: object | null })._handle;
    if (!handle) return Transport.wrap(reader, accepted);
    const transport = new Transport(reader);
    const options = { handle, allowHalfOpen: true, onread: transport.onread() };
    const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
    (accepted as Socket & { _handle?: object | null })._handle = null;
    transport.listen(socket);
    return transport;
  }

  /** Reads a socket by its 'data' events: for TLS on an accepted socket, which takes no `onread`. */
  static wrap(reader: TransportReader, socket: Socket | TLSSocket): Transport {
    const transport = new Transport(reader);
    transport.listen(socket);
    socket.on('data', onData);
    return transport;
  }

  /** Gives the socket away, for TLS to be put on it: nothing is told of it any more. */
  release(): Socket | TLSSocket {
    this.pause();
    this.reader = NOBODY;
    (this.socket as Carrying)[TRANSPORT] = undefined;
    return this.socket;
  }

  /** Reads go to a buffer of this connection's own while `on`: a body is streaming. */
  stream(on: boolean): void {
    this.streaming = on;
  }

  /** Writes a text (latin1) or bytes that nobody changes any more. False: wait for `onDrain`. */
  write(data: string | Buffer): boolean {
    if (this.closed) return true;
    return typeof data === 'string' ? this.socket.write(data, 'latin1') : this.socket.write(data);
  }

  /** Writes a range that `source` has just read, copying only what `source` will read over. */
  forward(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    if (this.closed) return true;
    if (bytes === SHARED_READ_BUFFER) return this.writeCopy('', bytes, start, end);
    const ready = this.socket.write(bytes.subarray(start, end));
    // A write that the kernel did not take whole still reads these bytes: read into others.
    if (this.socket.writableLength > 0 && source !== undefined && source.own === bytes)
      source.own = undefined;
    return ready;
  }

  /** Writes a head and a range of bytes that will be read over: one system call, not two. */
  writeJoined(head: string, bytes: Buffer, start: number, end: number): boolean {
    if (this.closed) return true;
    if (end - start > SMALL_BYTES) return this.writeCopy(head, bytes, start, end);
    return this.socket.write(head + bytes.toString('latin1', start, end), 'latin1');
  }

  /**
   * A write that the kernel takes whole is over when it returns, so that one buffer serves them all: a buffer
   * for each would be garbage of the size of the traffic. TLS says later that it is done.
   */
  private writeCopy(head: string, bytes: Buffer, start: number, end: number): boolean {
    const { socket } = this;
    const length = head.length + end - start;
    const reusable = length <= COPY_BYTES && socket.writableLength === 0 && !('encrypted' in socket);
    const target = reusable ? copy : Buffer.allocUnsafe(length);
    if (head !== '') target.write(head, 0, 'latin1');
    bytes.copy(target, head.length, start, end);
    const ready = socket.write(reusable ? target.subarray(0, length) : target);
    if (reusable && socket.writableLength > 0) copy = Buffer.allocUnsafeSlow(COPY_BYTES);
    return ready;
  }

  pause(): void {
    if (this.paused || this.closed) return;
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused || this.closed) return;
    this.paused = false;
    this.socket.resume();
  }

  /** Sends FIN after what is written. */
  end(): void {
    if (!this.closed) this.socket.end();
  }

  destroy(): void {
    if (!this.closed) this.socket.destroy();
  }

  /** Resets the connection, so that the peer cannot take what it got for a whole message; after `end` it is only closed. */
  reset(): void {
    if (this.closed) return;
    const { socket } = this;
    if (socket.writableEnded) {
      // libuv resets nothing that has begun a shutdown, and Node would then never close it.
      socket.destroy();
      return;
    }
    // TLS has no reset of its own: a FIN, even without close_notify, would pass for a whole message.
    const carrier = '_parent' in socket ? (socket._parent as Socket | null) : undefined;
    if (carrier) carrier.resetAndDestroy();
    else if ('encrypted' in socket) resetTls(socket);
    else socket.resetAndDestroy();
  }

  get backedUp(): boolean {
    return this.socket.writableNeedDrain;
  }

  private onread(): OnRead {
    return {
      buffer: () => this.nextBuffer(),
      callback: (count) => {
        const bytes = this.current;
        this.bytesRead += count;
        this.reader.onBytes(bytes, 0, count);
        return !this.paused;
      },
    };
  }

  /** The buffer of the next read; Node keeps the present one when it gets something else than bytes. */
  private nextBuffer(): Uint8Array {
    let next = SHARED_READ_BUFFER;
    if (this.streaming) {
      this.own ??= Buffer.allocUnsafeSlow(READ_BYTES);
      next = this.own;
    } else {
      this.own = undefined;
    }
    if (next === this.current && this.handedOut) return undefined as unknown as Uint8Array;
    this.handedOut = true;
    this.current = next;
    return next;
  }

  private handedOut = false;

  private listen(socket: Socket | TLSSocket): void {
    this.socket = socket;
    (socket as Carrying)[TRANSPORT] = this;
    socket.on('error', onError).on('end', onEnd).on('drain', onDrain).on('close', onClose);
  }

  /**
   * By the socket: an error, which `close` follows; but of bytes that are no TLS Node tells in passing and keeps the socket,
   * for the next message to fail on. Other libraries of OpenSSL only leave behind what a peer's certificate lacked.
   */
  failed(error: Error): void {
    this.error ??= error;
    if ('library' in error && error.library === 'SSL routines') this.destroy();
  }

  /** By the socket: the peer's FIN. */
  peerEnded(): void {
    this.ended = true;
    if (!this.closed) this.reader.onEnd();
  }

  /** By the socket: it is gone. */
  gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.own = undefined;
    this.reader.onClosed(this.error);
    this.onGone?.gone(this);
  }
}

/** Sockets find their transport by it: four closures for each would be a tenth of what an idle connection holds. */
const TRANSPORT = Symbol('transport');

type Carrying = (Socket | TLSSocket) & { [TRANSPORT]?: Transport | undefined };

const NOBODY: TransportReader = { onBytes() {}, onEnd() {}, onDrain() {}, onClosed() {} };

function onData(this: Carrying, bytes: Buffer): void {
  const transport = this[TRANSPORT];
  if (transport === undefined) return;
  transport.bytesRead += bytes.length;
  transport.reader.onBytes(bytes, 0, bytes.length);
}

function onError(this: Carrying, error: Error): void {
  this[TRANSPORT]?.failed(error);
}

function onEnd(this: Carrying): void {
  this[TRANSPORT]?.peerEnded();
}

function onDrain(this: Carrying): void {
  this[TRANSPORT]?.reader.onDrain();
}

function onClose(this: Carrying): void {
  this[TRANSPORT]?.gone();
}
