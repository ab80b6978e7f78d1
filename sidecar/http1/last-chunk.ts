import { type Field, linesOf } from '../http/field.ts';

/** The end of a chunked body, with its trailers (RFC 9112 section 7.1.2). */
export function lastChunk(trailers: readonly Field[] | undefined): string {
  return `0\r\n${linesOf(trailers ?? [])}\r\n`;
}
