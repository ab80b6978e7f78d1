import type { Field } from '../http/field.ts';

/** The end of a chunked body, with its trailers (RFC 9112 section 7.1.2). */
export function lastChunk(trailers: readonly Field[] | undefined): string {
  if (trailers === undefined || trailers.length === 0) return '0\r\n\r\n';
  return `0\r\n${trailers.map(({ name, value }) => `${name}: ${value}\r\n`).join('')}\r\n`;
}
