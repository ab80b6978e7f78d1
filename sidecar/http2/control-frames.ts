import {
  GOAWAY,
  HEADER_BYTES,
  PING,
  RST_STREAM,
  WINDOW_UPDATE,
  writeFrameHeader,
  writeUint32,
} from './frame.ts';
import type { Output } from './output.ts';
import { SETTING_BYTES, type Setting, writeSettings, writeSettingsAck } from './settings.ts';

export const PING_BYTES = 8;

/** `first` goes before the frame: a client's preface. */
export function sendSettings(output: Output, first: string, settings: readonly Setting[]): void {
  const at = output.reserve(first.length + HEADER_BYTES + settings.length * SETTING_BYTES);
  output.buffer.write(first, at, 'latin1');
  output.used = writeSettings(output.buffer, at + first.length, settings);
}

export function sendSettingsAck(output: Output): void {
  const at = output.reserve(HEADER_BYTES);
  output.used = writeSettingsAck(output.buffer, at);
}

export function sendWindowUpdate(output: Output, streamId: number, increment: number): void {
  sendNumber(output, WINDOW_UPDATE, streamId, increment);
}

export function sendReset(output: Output, streamId: number, code: number): void {
  sendNumber(output, RST_STREAM, streamId, code);
}

function sendNumber(output: Output, type: number, streamId: number, value: number): void {
  const frame = output.reserve(HEADER_BYTES + 4);
  const at = writeFrameHeader(output.buffer, frame, 4, type, 0, streamId);
  output.used = writeUint32(output.buffer, at, value);
}

/** `payload`: the eight bytes from `start` on. */
export function sendPing(output: Output, flags: number, payload: Buffer, start: number): void {
  const frame = output.reserve(HEADER_BYTES + PING_BYTES);
  const at = writeFrameHeader(output.buffer, frame, PING_BYTES, PING, flags, 0);
  payload.copy(output.buffer, at, start, start + PING_BYTES);
  output.used = at + PING_BYTES;
}

/** `debug`: ASCII. */
export function sendGoAway(output: Output, lastId: number, code: number, debug: string): void {
  const length = 8 + debug.length;
  const frame = output.reserve(HEADER_BYTES + length);
  const at = writeFrameHeader(output.buffer, frame, length, GOAWAY, 0, 0);
  const end = writeUint32(output.buffer, writeUint32(output.buffer, at, lastId), code);
  output.used = end + output.buffer.write(debug, end, 'latin1');
}
