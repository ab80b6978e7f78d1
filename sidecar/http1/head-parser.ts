import type { Limits } from '../http/limits.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { COLON, CR, LF, SPACE, TAB, TARGET, TOKEN, VALUE } from './characters.ts';
import { Head } from './head.ts';
import { classifyHeader, resetClassification, settleRequest, settleResponse } from './head-rules.ts';
import { PROBLEMS } from './problems.ts';

export const INCOMPLETE = -1;
export const FAILED = -2;

/** Empty lines taken before a request line (RFC 9112 section 2.2 asks for at least one). */
const MAX_LEADING_BLANKS = 2;
const HTTP_1 = 'HTTP/1.';
/** The end of the last header line, and the blank line. */
const BLANK_LINE = '\r\n\r\n';

/**
 * Reads one head at a time, in as many pieces as it comes. A head that arrives whole is read where it
 * lies; only a split one is copied together. Complete lines are never read twice.
 */
export class HeadParser {
  readonly head: Head;
  problem: MessageProblem | undefined = undefined;
  private readonly limits: Limits;
  private readonly isRequest: boolean;
  private pending: Buffer | undefined = undefined;
  private pendingLength = 0;
  /** Where the unfinished line starts, from the head's first byte. */
  private lineStart = 0;
  private startLineRead = false;
  private blanks = 0;

  constructor(kind: 'request' | 'response', limits: Limits) {
    this.isRequest = kind === 'request';
    this.limits = limits;
    this.head = new Head(limits.headers);
    resetClassification(this.head);
  }

  /** Whether some bytes of a head have come, but not all. */
  get begun(): boolean {
    return this.pendingLength > 0;
  }

  /**
   * Takes bytes `start`..`end` of `bytes`.
   * Returns the offset after the head's end, INCOMPLETE (all bytes are taken in), or FAILED with `problem` set.
   * `answersHead`: a response to HEAD, which has no body whatever it says.
   */
  parse(bytes: Buffer, start: number, end: number, answersHead = false): number {
    if (this.pendingLength === 0) {
      this.reset();
      const stop = this.scan(bytes, start, end);
      if (stop >= 0) return this.complete(bytes, start, stop, answersHead) ? stop : FAILED;
      return stop === FAILED ? FAILED : this.keep(bytes, start, end);
    }
    return this.parseContinued(bytes, start, end, answersHead);
  }

  private parseContinued(bytes: Buffer, start: number, end: number, answersHead: boolean): number {
    const before = this.pendingLength;
    if (this.keep(bytes, start, end) === FAILED) return FAILED;
    const pending = this.pending as Buffer; // keep() made it
    // Without a new LF no line was finished: the unfinished one is not read again for each byte.
    const newLine = pending.indexOf(LF, before);
    if (newLine < 0 || newLine >= this.pendingLength) return INCOMPLETE;
    const stop = this.scan(pending, 0, this.pendingLength);
    if (stop < 0) return stop;
    this.pendingLength = 0;
    this.pending = undefined;
    return this.complete(pending, 0, stop, answersHead) ? start + (stop - before) : FAILED;
  }

  /** Copies an unfinished head's bytes; FAILED once they are more than a head may have. */
  private keep(bytes: Buffer, start: number, end: number): number {
    const needed = this.pendingLength + (end - start);
    const roof = this.limits.headBytes + 1;
    if (needed > roof && !this.endsWithin(bytes, start, end)) return this.tooLong();
    if (this.pending === undefined || needed > this.pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, needed * 2));
      this.pending?.copy(grown, 0, 0, this.pendingLength);
      this.pending = grown;
    }
    bytes.copy(this.pending, this.pendingLength, start, end);
    this.pendingLength = needed;
    return INCOMPLETE;
  }

  /** Whether a blank line ends in these bytes. It may have begun before them; what lies past `end` is of another read. */
  private endsWithin(bytes: Buffer, start: number, end: number): boolean {
    const at = bytes.indexOf(BLANK_LINE, start, 'latin1');
    if (at >= 0 && at + BLANK_LINE.length <= end) return true;
    const { pending, pendingLength } = this;
    const before = pending?.toString('latin1', Math.max(0, pendingLength - 3), pendingLength) ?? '';
    return `${before}${bytes.toString('latin1', start, Math.min(start + 3, end))}`.includes(BLANK_LINE);
  }

  private tooLong(): number {
    return this.fail(this.startLineRead || !this.isRequest ? PROBLEMS.headLong : PROBLEMS.targetLong);
  }

  private reset(): void {
    this.lineStart = 0;
    this.startLineRead = false;
    this.blanks = 0;
    this.problem = undefined;
    this.head.hold();
    resetClassification(this.head);
  }

  /** Gives back what it read the last head into, of which nothing is asked any more. */
  rest(): void {
    if (!this.begun) this.head.rest();
  }

  private complete(bytes: Buffer, origin: number, stop: number, answersHead: boolean): boolean {
    if (stop - origin > this.limits.headBytes) {
      this.tooLong();
      return false;
    }
    const head = this.head;
    head.text = bytes.toString('latin1', origin, stop);
    this.problem = this.isRequest ? settleRequest(head) : settleResponse(head, answersHead);
    return this.problem === undefined;
  }

  private fail(problem: MessageProblem): number {
    this.problem = problem;
    return FAILED;
  }

  /** Reads whole lines from `lineStart` on. Returns the offset after the blank line, INCOMPLETE or FAILED. */
  private scan(bytes: Buffer, origin: number, end: number): number {
    let position = origin + this.lineStart;
    if (!this.startLineRead) {
      position = this.isRequest
        ? this.requestLine(bytes, origin, position, end)
        : this.statusLine(bytes, origin, position, end);
      if (position < 0) return position;
      this.startLineRead = true;
      this.lineStart = position - origin;
      this.head.fieldsStart = this.lineStart;
    }
    return this.headerLines(bytes, origin, position, end);
  }

  private headerLines(bytes: Buffer, origin: number, from: number, end: number): number {
    const { head, limits } = this;
    const { offsets } = head.lines;
    let position = from;
    for (;;) {
      this.lineStart = position - origin;
      if (position >= end) return INCOMPLETE;
      if (bytes[position] === CR) {
        if (position + 1 >= end) return INCOMPLETE;
        if (bytes[position + 1] !== LF) return this.fail(PROBLEMS.bareCr);
        head.fieldsEnd = position - origin;
        return position + 2;
      }
      const nameStart = position;
      // Indexes below `end` are inside the buffer: the casts only tell the compiler so.
      while (position < end && TOKEN[bytes[position] as number] === 1) position++;
      if (position >= end) return INCOMPLETE;
      if (bytes[position] !== COLON || position === nameStart)
        return this.fail(nameProblem(bytes, nameStart, position));
      const nameEnd = position++;
      while (position < end && (bytes[position] === SPACE || bytes[position] === TAB)) position++;
      const valueStart = position;
      while (position < end && VALUE[bytes[position] as number] === 1) position++;
      if (position >= end) return INCOMPLETE;
      if (bytes[position] !== CR)
        return this.fail(bytes[position] === LF ? PROBLEMS.bareLf : PROBLEMS.fieldValue);
      if (position + 1 >= end) return INCOMPLETE;
      if (bytes[position + 1] !== LF) return this.fail(PROBLEMS.bareCr);
      let valueEnd = position;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB))
        valueEnd--;
      position += 2;
      if (head.count >= limits.headers) return this.fail(PROBLEMS.headersMany);
      const at = head.count * 4;
      offsets[at] = nameStart - origin;
      offsets[at + 1] = nameEnd - origin;
      offsets[at + 2] = valueStart - origin;
      offsets[at + 3] = valueEnd - origin;
      const problem = classifyHeader(head, bytes, nameStart, nameEnd, valueStart, valueEnd);
      if (problem !== undefined) return this.fail(problem);
    }
  }

  /** METHOD SP TARGET SP HTTP/1.x CRLF. Returns the next line's offset, INCOMPLETE or FAILED. */
  private requestLine(bytes: Buffer, origin: number, from: number, end: number): number {
    let position = from;
    while (position < end && bytes[position] === CR) {
      if (position + 1 >= end) return INCOMPLETE;
      if (bytes[position + 1] !== LF) return this.fail(PROBLEMS.bareCr);
      if (++this.blanks > MAX_LEADING_BLANKS) return this.fail(PROBLEMS.requestLine);
      position += 2;
      this.lineStart = position - origin;
    }
    const methodStart = position;
    while (position < end && TOKEN[bytes[position] as number] === 1) position++;
    if (position >= end) return this.longTarget(position - methodStart);
    if (bytes[position] !== SPACE || position === methodStart) return this.fail(PROBLEMS.requestLine);
    const methodEnd = position++;
    const targetStart = position;
    while (position < end && TARGET[bytes[position] as number] === 1) position++;
    if (position >= end) return this.longTarget(position - targetStart);
    if (position - targetStart > this.limits.targetBytes) return this.fail(PROBLEMS.targetLong);
    if (position === targetStart) return this.fail(PROBLEMS.requestLine);
    if (bytes[position] !== SPACE)
      return this.fail(
        bytes[position] === CR || bytes[position] === LF ? PROBLEMS.requestLine : PROBLEMS.target,
      );
    const targetEnd = position++;
    const stop = this.version(bytes, position, end);
    if (stop < 0) return stop;
    this.head.method = methodName(bytes, methodStart, methodEnd);
    this.head.target = bytes.toString('latin1', targetStart, targetEnd);
    return stop;
  }

  /** An unfinished request line that is already too long fails now, not at the head's limit. */
  private longTarget(length: number): number {
    return length > this.limits.targetBytes ? this.fail(PROBLEMS.targetLong) : INCOMPLETE;
  }

  /** `HTTP/1.x` CRLF from `position` on. */
  private version(bytes: Buffer, position: number, end: number): number {
    for (let i = 0; i < 10; i++) {
      if (position + i >= end) return INCOMPLETE;
      const byte = bytes[position + i] as number;
      if (i < 5) {
        if (byte !== HTTP_1.charCodeAt(i)) return this.fail(PROBLEMS.requestLine);
      } else if (i === 5 || i === 7) {
        if (byte < 0x30 || byte > 0x39) return this.fail(PROBLEMS.requestLine);
      } else if (i === 6) {
        if (byte !== 0x2e) return this.fail(PROBLEMS.requestLine);
      } else if (byte !== (i === 8 ? CR : LF)) {
        return this.fail(byte === LF ? PROBLEMS.bareLf : i === 9 ? PROBLEMS.bareCr : PROBLEMS.requestLine);
      }
    }
    const major = bytes[position + 5] as number;
    const minor = bytes[position + 7] as number;
    if (major !== 0x31 || minor > 0x31) return this.fail(PROBLEMS.version);
    this.head.minor = minor - 0x30;
    return position + 10;
  }

  /** HTTP/1.x SP 3DIGIT [SP reason] CRLF. */
  private statusLine(bytes: Buffer, _origin: number, from: number, end: number): number {
    let position = from;
    for (let i = 0; i < 12; i++, position++) {
      if (position >= end) return INCOMPLETE;
      const byte = bytes[position] as number;
      const fine =
        i < 7 ? byte === HTTP_1.charCodeAt(i) : i === 8 ? byte === SPACE : byte >= 0x30 && byte <= 0x39;
      if (!fine) return this.fail(PROBLEMS.statusLine);
    }
    const minor = (bytes[from + 7] as number) - 0x30;
    const status = Number(bytes.toString('latin1', from + 9, from + 12));
    if (minor > 1 || status < 100) return this.fail(PROBLEMS.statusLine);
    if (position >= end) return INCOMPLETE;
    if (bytes[position] !== SPACE && bytes[position] !== CR) return this.fail(PROBLEMS.statusLine);
    while (position < end && VALUE[bytes[position] as number] === 1) position++;
    if (position + 1 >= end) return INCOMPLETE;
    if (bytes[position] !== CR || bytes[position + 1] !== LF) return this.fail(PROBLEMS.statusLine);
    this.head.minor = minor;
    this.head.status = status;
    return position + 2;
  }
}

function nameProblem(bytes: Buffer, start: number, position: number): MessageProblem {
  const byte = bytes[position];
  if (byte === LF) return PROBLEMS.bareLf;
  if (byte === SPACE || byte === TAB)
    return position === start ? PROBLEMS.obsFold : PROBLEMS.spaceBeforeColon;
  return PROBLEMS.fieldName;
}

/** The common methods without making a string of the bytes. */
function methodName(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54)
    return 'GET';
  return bytes.toString('latin1', start, end);
}
