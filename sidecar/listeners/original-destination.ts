import type { Socket } from 'node:net';
import {
  type IpPort,
  readSockaddrIn,
  readSockaddrIn6,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
} from './socket-address.ts';

/**
 * Where an accepted connection was going before the pod's rules redirected it; undefined when the kernel knows no
 * other place, or the socket is gone. A connection that was made to the listener itself may give the listener's own
 * address: whether it does depends on what else the node's rules watch, so callers compare.
 */
export type OriginalDestination = (socket: Socket) => IpPort | undefined;

/** linux/in.h, linux/in6.h, linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h */
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
const IP6T_SO_ORIGINAL_DST = 80;

type Getsockopt = (fd: number, level: number, option: number, value: Buffer, length: Buffer) => number;

/**
 * Makes ready to ask for original destinations; about 1 ms, 1 MB. The library is loaded here, so that only a
 * sidecar that captures has it. Throws an Error that says what to do where it cannot.
 */
export function openOriginalDestination(): OriginalDestination {
  const getsockopt = loadGetsockopt();
  // One call at a time, and each is read before the next: the memory is kept.
  const value = Buffer.allocUnsafeSlow(SOCKADDR_IN6_BYTES);
  const length = new Uint32Array(1);
  const lengthBytes = Buffer.from(length.buffer);
  const ask = (fd: number, level: number, option: number, bytes: number): boolean => {
    length[0] = bytes;
    return getsockopt(fd, level, option, value, lengthBytes) === 0;
  };
  return (socket) => {
    const { remoteAddress } = socket;
    const fd = descriptor(socket);
    if (remoteAddress === undefined || fd < 0) return undefined;
    if (isIpv4(remoteAddress)) {
      return ask(fd, SOL_IP, SO_ORIGINAL_DST, SOCKADDR_IN_BYTES) ? readSockaddrIn(value) : undefined;
    }
    return ask(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, SOCKADDR_IN6_BYTES) ? readSockaddrIn6(value) : undefined;
  };
}

/** A socket of both families shows an IPv4 peer as `::ffff:10.0.0.1`; the kernel knows it by IPv4. */
function isIpv4(remoteAddress: string): boolean {
  return !remoteAddress.includes(':') || remoteAddress.toLowerCase().startsWith('::ffff:');
}

/** `_handle` is the one way to it: Node shows no file descriptor of a socket. -1: it is closed. */
function descriptor(socket: Socket): number {
  return (socket as Socket & { _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
}

function loadGetsockopt(): Getsockopt {
  if (process.platform !== 'linux') {
    throw new Error(`captured connections need Linux, and this is ${process.platform}: run without --pod`);
  }
  const ffi = withoutFfiWarning(() => process.getBuiltinModule('node:ffi'));
  if (ffi === undefined) {
    throw new Error(
      `captured connections need node:ffi, which this Node ${process.versions.node} has not: use Node 26.10 or ` +
        'newer, built with FFI, and run it without --no-experimental-ffi',
    );
  }
  try {
    // null: what the process itself was linked with, so any libc will do.
    return ffi.dlopen(null, {
      getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
    }).functions.getsockopt;
  } catch (error) {
    throw new Error(
      `captured connections need getsockopt by node:ffi, which failed: ${error instanceof Error ? error.message : String(error)}; ` +
        'under the permission model run with --allow-ffi',
      { cause: error },
    );
  }
}

/** Node warns once that FFI may change. Tulle brings its Node and tests this call: the line would only alarm people. */
function withoutFfiWarning<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: []) => {
    if (!String(warning).startsWith('FFI is an experimental feature')) emitWarning(warning, ...rest);
  }) as typeof emitWarning;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
