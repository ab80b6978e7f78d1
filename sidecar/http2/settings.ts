import { FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import { INITIAL_WINDOW, MAX_WINDOW } from './flow-window.ts';
import {
  ACK,
  FRAME_BYTES,
  MAX_FRAME_BYTES,
  readUint32,
  SETTINGS,
  writeFrameHeader,
  writeUint32,
} from './frame.ts';

/** RFC 9113 section 6.5.2, RFC 8441 section 3. */
export const HEADER_TABLE_SIZE = 0x1;
export const ENABLE_PUSH = 0x2;
export const MAX_CONCURRENT_STREAMS = 0x3;
export const INITIAL_WINDOW_SIZE = 0x4;
const MAX_FRAME_SIZE = 0x5;
export const MAX_HEADER_LIST_SIZE = 0x6;
export const ENABLE_CONNECT_PROTOCOL = 0x8;

export const SETTING_BYTES = 6;

/** Streams that are opened before the peer has said how many it takes: a server that takes few refuses what is more. */
const STREAMS_UNTIL_TOLD = 1;

/** What the peer has told of itself; its defaults until then. */
export class PeerSettings {
  headerTableBytes = 4096;
  maxStreams = STREAMS_UNTIL_TOLD;
  streamWindow = INITIAL_WINDOW;
  frameBytes = FRAME_BYTES;
  connectProtocol = false;

  /**
   * Takes one setting. Returns the error code that it deserves, or NO_ERROR; unknown settings are ignored.
   * `fromServer`: the peer is a server, which must not enable push.
   */
  apply(id: number, value: number, fromServer: boolean): number {
    switch (id) {
      case HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        return NO_ERROR;
      case ENABLE_PUSH:
        return value > (fromServer ? 0 : 1) ? PROTOCOL_ERROR : NO_ERROR;
      case MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        return NO_ERROR;
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) return FLOW_CONTROL_ERROR;
        this.streamWindow = value;
        return NO_ERROR;
      case MAX_FRAME_SIZE:
        if (value < FRAME_BYTES || value > MAX_FRAME_BYTES) return PROTOCOL_ERROR;
        this.frameBytes = value;
        return NO_ERROR;
      case ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 section 3: it is not taken back.
        if (value > 1 || (value === 0 && this.connectProtocol)) return PROTOCOL_ERROR;
        this.connectProtocol = value === 1;
        return NO_ERROR;
      default:
        return NO_ERROR;
    }
  }

  /** A peer that has sent its settings and no limit of streams takes any number. */
  told(maxStreamsGiven: boolean, first: boolean): void {
    if (first && !maxStreamsGiven) this.maxStreams = Number.POSITIVE_INFINITY;
  }
}

/** Pairs of a setting and its value, as they are sent first on a connection. */
export type Setting = readonly [id: number, value: number];

/** Writes a SETTINGS frame at `at` and returns the offset after it. */
export function writeSettings(target: Buffer, at: number, settings: readonly Setting[]): number {
  let next = writeFrameHeader(target, at, settings.length * SETTING_BYTES, SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    target[next] = id >>> 8;
    target[next + 1] = id;
    next = writeUint32(target, next + 2, value);
  }
  return next;
}

export function writeSettingsAck(target: Buffer, at: number): number {
  return writeFrameHeader(target, at, 0, SETTINGS, ACK, 0);
}

/** Id of the setting at `at`. */
export function settingId(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number); // whole settings only: the frame's length was checked
}

export function settingValue(bytes: Buffer, at: number): number {
  return readUint32(bytes, at + 2);
}
