import { HTTP_10, HTTP_11, type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import { borrowLines, giveBackLines, NO_LINES, STRIDE } from './line-table.ts';

/** How a body's end is found (RFC 9112 section 6.3). */
export const NO_BODY = 0;
export const LENGTH = 1;
export const CHUNKED = 2;
export const UNTIL_CLOSE = 3;

/** What a forwarder does with a header line. */
export const KEEP = 0;
export const HOP_BY_HOP = 1;
const REMOVED = 2;

/**
 * The head of one message: its text once as a latin1 string and offsets into it, so that a header is
 * a slice made only when somebody asks. Reused from message to message; between them it holds nothing.
 */
export class Head implements MessageHead {
  text = '';
  count = 0;
  /** Of the header lines: see LineTable. */
  lines = NO_LINES;
  /** Where the first header line starts, and where the blank line starts. */
  fieldsStart = 0;
  fieldsEnd = 0;

  method = '';
  target = '';
  status = 0;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  minor = 1;

  framing = NO_BODY;
  /** Bytes of the body when `framing` is LENGTH. */
  length = 0;
  close = false;
  keepAlive = false;
  connectionUpgrade = false;
  expectsContinue = false;
  hostIndex = -1;
  upgradeIndex = -1;
  requestIdIndex = -1;
  /** A header line that is not KEEP exists. */
  dropsSome = false;
  /** Keep-Alive: timeout=N in ms, or -1. */
  keepAliveMs = -1;
  /** Lower-case names that Connection named, besides its own options. */
  nominated: string[] = [];

  private readonly maxHeaders: number;

  constructor(maxHeaders: number) {
    this.maxHeaders = maxHeaders;
  }

  /** Has room for a message's header lines, until `rest`. */
  hold(): void {
    if (this.lines === NO_LINES) this.lines = borrowLines(this.maxHeaders);
  }

  /** Lets go of the message, of which nothing is asked any more. */
  rest(): void {
    const { lines } = this;
    this.lines = NO_LINES;
    giveBackLines(lines);
    this.count = 0;
    this.text = '';
    this.target = '';
    this.hostIndex = -1;
    this.upgradeIndex = -1;
    this.requestIdIndex = -1;
  }

  get version(): number {
    return this.minor === 1 ? HTTP_11 : HTTP_10;
  }

  get authority(): string {
    return this.hostIndex < 0 ? '' : this.value(this.hostIndex);
  }

  get requestId(): string {
    return this.requestIdIndex < 0 ? '' : this.value(this.requestIdIndex);
  }

  get bodyLength(): number {
    if (this.framing === NO_BODY) return 0;
    return this.framing === LENGTH ? this.length : UNKNOWN_LENGTH;
  }

  /** An upgrade is passed on, but for h2c, which prior knowledge and ALPN replaced (RFC 9113 section 3.1). */
  get upgrade(): string {
    if (this.upgradeIndex < 0) return '';
    const protocol = this.value(this.upgradeIndex);
    if (this.status !== 0) return this.status === 101 ? protocol : '';
    if (!this.connectionUpgrade || this.minor === 0 || this.framing !== NO_BODY) return '';
    return /\bh2c?\b/i.test(protocol) ? '' : protocol;
  }

  get heldBytes(): number {
    return this.text.length;
  }

  keeps(index: number): boolean {
    return this.lines.fate[index] === KEEP;
  }

  name(index: number): string {
    return this.text.slice(this.at(index, 0), this.at(index, 1));
  }

  value(index: number): string {
    return this.text.slice(this.at(index, 2), this.at(index, 3));
  }

  /** Where header line `index` starts in `text`. */
  lineStart(index: number): number {
    return index < this.count ? this.at(index, 0) : this.fieldsEnd;
  }

  /** The first value of a header, or undefined. `name` is lower case. */
  get(name: string): string | undefined {
    const index = this.find(name, 0);
    return index < 0 ? undefined : this.value(index);
  }

  /** Index of the first header `name` (lower case) at or after `from`, removed ones left out, or -1. */
  find(name: string, from: number): number {
    const length = name.length;
    for (let index = from; index < this.count; index++) {
      const start = this.at(index, 0);
      if (this.at(index, 1) - start !== length || this.lines.fate[index] === REMOVED) continue;
      if (sameLetters(this.text, start, name)) return index;
    }
    return -1;
  }

  /** Takes every header `name` (lower case) out of what is forwarded. */
  remove(name: string): void {
    for (let index = this.find(name, 0); index >= 0; index = this.find(name, index + 1)) {
      this.lines.fate[index] = REMOVED;
      this.dropsSome = true;
    }
  }

  private at(index: number, part: number): number {
    // The parser wrote these four for every index below count.
    return this.lines.offsets[index * STRIDE + part] as number;
  }
}

/** Whether `text` from `start` reads as the lower-case `word`, case ignored; both are tokens. */
function sameLetters(text: string, start: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    const wanted = word.charCodeAt(i);
    const code = text.charCodeAt(start + i);
    // Only letters have a case: `_` and `^` with that bit set are other characters.
    if (code !== wanted && ((code | 0x20) !== wanted || wanted < 0x61 || wanted > 0x7a)) return false;
  }
  return true;
}
