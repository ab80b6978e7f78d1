import { type Field, fieldsOf } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { CR, HEX, LF, SEMICOLON } from './characters.ts';
import { EXTENSION_WRONG, extensionMayEnd, extensionStep, NAME_START } from './chunk-extension.ts';
import { HeadParser } from './head-parser.ts';
import { PROBLEMS } from './problems.ts';

/** Takes a range of the bytes that were fed, to be passed on before the call returns. */
export type RangeSink = (bytes: Buffer, start: number, end: number) => void;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;
const DONE = 7;

/** 2^48 bytes: more digits are an attack, not a chunk. */
const MAX_SIZE_DIGITS = 12;
const MAX_EXTENSION_BYTES = 1024;

export const NEED_MORE = -1;
export const MALFORMED = -2;

/** Trailer fields that would change framing, routing or the message's meaning (RFC 9110 section 6.5.1). */
const FORBIDDEN_TRAILERS = [
  'content-length',
  'transfer-encoding',
  'host',
  'connection',
  'authorization',
  'expect',
  'upgrade',
  'te',
];

/**
 * Follows a chunked body (RFC 9112 section 7.1) without copying it. `verbatim` hands on the bytes as
 * they came, chunk headers included, chunk extensions cut out (two readers may read them differently);
 * otherwise the data only.
 */
export class ChunkedReader {
  problem: MessageProblem | undefined = undefined;
  private state = SIZE;
  private digits = 0;
  private size = 0;
  /** Of the whole body: extensions are no way to send without limit. */
  private extensionBytes = 0;
  private extension = NAME_START;
  private verbatim = true;
  private trailers: TrailerReader | undefined = undefined;
  private readonly limits: Limits;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  reset(verbatim: boolean): void {
    this.state = SIZE;
    this.digits = 0;
    this.size = 0;
    this.extensionBytes = 0;
    this.verbatim = verbatim;
    this.trailers = undefined;
    this.problem = undefined;
  }

  /** Returns the offset after the body's end, NEED_MORE, or MALFORMED with `problem` set. */
  feed(bytes: Buffer, start: number, end: number, sink: RangeSink): number {
    let position = start;
    /** Start of the verbatim range not yet handed on, or -1 while inside an extension. */
    let kept = this.state === EXTENSION ? -1 : start;
    while (position < end) {
      // `position < end` keeps every index inside the buffer.
      const byte = bytes[position] as number;
      switch (this.state) {
        case SIZE: {
          const digit = HEX[byte] as number;
          if (digit >= 0) {
            if (++this.digits > MAX_SIZE_DIGITS) return this.malformed();
            this.size = this.size * 16 + digit;
          } else if (this.digits === 0) {
            return this.malformed();
          } else if (byte === CR) {
            this.state = SIZE_LF;
          } else if (byte === SEMICOLON) {
            this.pass(bytes, kept, position, sink);
            kept = -1;
            this.state = EXTENSION;
            this.extension = NAME_START;
          } else {
            return this.malformed();
          }
          position++;
          break;
        }
        case EXTENSION:
          if (byte === CR && extensionMayEnd(this.extension)) {
            this.state = SIZE_LF;
            kept = position;
          } else {
            this.extension = extensionStep(this.extension, byte);
            if (this.extension === EXTENSION_WRONG || ++this.extensionBytes > MAX_EXTENSION_BYTES)
              return this.malformed();
          }
          position++;
          break;
        case SIZE_LF:
          if (byte !== LF) return this.malformed();
          position++;
          this.digits = 0;
          this.state = this.size > 0 ? DATA : TRAILER;
          break;
        case DATA: {
          const taken = Math.min(this.size, end - position);
          if (!this.verbatim) sink(bytes, position, position + taken);
          position += taken;
          this.size -= taken;
          if (this.size === 0) this.state = DATA_CR;
          break;
        }
        case DATA_CR:
          if (byte !== CR) return this.malformed();
          position++;
          this.state = DATA_LF;
          break;
        case DATA_LF:
          if (byte !== LF) return this.malformed();
          position++;
          this.state = SIZE;
          break;
        default: {
          // The blank line or trailers: what came before them can go on now.
          this.pass(bytes, kept, position, sink);
          return this.readTrailers(bytes, position, end, sink);
        }
      }
    }
    this.pass(bytes, kept, end, sink);
    return NEED_MORE;
  }

  /** The trailers of a body that was read whole; undefined without any. */
  get trailerFields(): readonly Field[] | undefined {
    const lines = this.trailers?.text.slice(0, -2) ?? '';
    return lines === '' ? undefined : fieldsOf(lines);
  }

  get done(): boolean {
    return this.state === DONE;
  }

  private pass(bytes: Buffer, start: number, end: number, sink: RangeSink): void {
    if (this.verbatim && start >= 0 && end > start) sink(bytes, start, end);
  }

  private malformed(problem: MessageProblem = PROBLEMS.chunk): number {
    this.problem = problem;
    return MALFORMED;
  }

  private readTrailers(bytes: Buffer, start: number, end: number, sink: RangeSink): number {
    this.trailers ??= new TrailerReader(this.limits);
    const stop = this.trailers.feed(bytes, start, end);
    if (stop === MALFORMED) return this.malformed(PROBLEMS.trailer);
    if (stop === NEED_MORE) return NEED_MORE;
    this.state = DONE;
    if (this.verbatim) {
      const text = Buffer.from(this.trailers.text, 'latin1');
      sink(text, 0, text.length);
    }
    return stop;
  }
}

/** A made-up request line lets the head parser read trailer lines by the very rules of header lines. */
const TRAILER_PREFIX = Buffer.from('TRAILER / HTTP/1.1\r\nhost: x\r\n', 'latin1');

class TrailerReader {
  text = '';
  private readonly parser: HeadParser;
  private begun = false;

  constructor(limits: Limits) {
    this.parser = new HeadParser('request', { ...limits, headBytes: limits.trailerBytes });
  }

  feed(bytes: Buffer, start: number, end: number): number {
    if (!this.begun && end - start >= 2 && bytes[start] === CR && bytes[start + 1] === LF) {
      this.text = '\r\n';
      return start + 2;
    }
    if (!this.begun) {
      this.begun = true;
      this.parser.parse(TRAILER_PREFIX, 0, TRAILER_PREFIX.length);
    }
    const stop = this.parser.parse(bytes, start, end);
    if (stop === -1) return NEED_MORE;
    if (stop < 0) return MALFORMED;
    const { head } = this.parser;
    for (const name of FORBIDDEN_TRAILERS) {
      if (head.find(name, name === 'host' ? 1 : 0) >= 0) return MALFORMED;
    }
    this.text = head.text.slice(TRAILER_PREFIX.length);
    return stop;
  }
}
