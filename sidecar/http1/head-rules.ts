import type { MessageProblem } from '../http/message-problem.ts';
import { HOST } from './characters.ts';
import { CHUNKED, type Head, HOP_BY_HOP, KEEP, LENGTH, NO_BODY, UNTIL_CLOSE } from './head.ts';
import { PROBLEMS } from './problems.ts';

/** Up to this many digits a length is exact in a double. */
const MAX_LENGTH_DIGITS = 15;
const NO_LENGTH = -1;

/** Fields that may not be named by Connection: without them the message would mean something else. */
const NEVER_NOMINATED = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
  'trailer',
  'authorization',
  'cookie',
  'x-request-id',
  'traceparent',
]);

/** Makes the head ready for the next message. */
export function resetClassification(head: Head): void {
  head.count = 0;
  head.framing = NO_BODY;
  head.length = NO_LENGTH;
  head.close = false;
  head.keepAlive = false;
  head.connectionUpgrade = false;
  head.expectsContinue = false;
  head.hostIndex = -1;
  head.upgradeIndex = -1;
  head.requestIdIndex = -1;
  head.dropsSome = false;
  head.keepAliveMs = -1;
  if (head.nominated.length > 0) head.nominated = [];
}

/** Notes what one header line means to this hop; it becomes header number `head.count`. */
export function classifyHeader(
  head: Head,
  bytes: Buffer,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): MessageProblem | undefined {
  const index = head.count++;
  head.lines.fate[index] = KEEP;
  switch (nameEnd - nameStart) {
    case 2:
      if (spells(bytes, nameStart, 'te')) drop(head, index);
      return undefined;
    case 4:
      return spells(bytes, nameStart, 'host') ? host(head, index, bytes, valueStart, valueEnd) : undefined;
    case 6:
      return spells(bytes, nameStart, 'expect') ? expect(head, bytes, valueStart, valueEnd) : undefined;
    case 7:
      if (spells(bytes, nameStart, 'upgrade')) {
        head.upgradeIndex = index;
        drop(head, index);
      }
      return undefined;
    case 10:
      if (spells(bytes, nameStart, 'connection')) {
        drop(head, index);
        return connection(head, bytes.toString('latin1', valueStart, valueEnd));
      }
      if (spells(bytes, nameStart, 'keep-alive')) {
        drop(head, index);
        head.keepAliveMs = keepAliveMs(bytes.toString('latin1', valueStart, valueEnd));
      }
      return undefined;
    case 12:
      if (spells(bytes, nameStart, 'x-request-id')) head.requestIdIndex = index;
      return undefined;
    case 14:
      if (spells(bytes, nameStart, 'content-length')) return contentLength(head, bytes, valueStart, valueEnd);
      if (spells(bytes, nameStart, 'http2-settings')) drop(head, index);
      return undefined;
    case 16:
      if (spells(bytes, nameStart, 'proxy-connection')) drop(head, index);
      return undefined;
    case 17:
      return spells(bytes, nameStart, 'transfer-encoding')
        ? transferEncoding(head, bytes.toString('latin1', valueStart, valueEnd))
        : undefined;
    case 18:
      if (spells(bytes, nameStart, 'proxy-authenticate')) drop(head, index);
      return undefined;
    case 19:
      if (spells(bytes, nameStart, 'proxy-authorization')) drop(head, index);
      return undefined;
    default:
      return undefined;
  }
}

/** The rules that need the whole request head. */
export function settleRequest(head: Head): MessageProblem | undefined {
  const lengths = settleLengths(head);
  if (lengths !== undefined) return lengths;
  if (head.framing === UNTIL_CLOSE) head.framing = NO_BODY;
  removeNominated(head);
  return settleTarget(head);
}

/** The rules that need the whole response head (RFC 9112 section 6.3). */
export function settleResponse(head: Head, answersHead: boolean): MessageProblem | undefined {
  const lengths = settleLengths(head);
  if (lengths !== undefined) return lengths;
  const status = head.status;
  if (status === 204 || status < 200) {
    if (head.framing === CHUNKED || (head.framing === LENGTH && head.length > 0))
      return PROBLEMS.bodyOnNoBody;
    head.framing = NO_BODY;
  } else if (status === 304 || answersHead) {
    head.framing = NO_BODY;
  }
  removeNominated(head);
  return undefined;
}

function settleLengths(head: Head): MessageProblem | undefined {
  if (head.framing === CHUNKED) {
    if (head.length !== NO_LENGTH) return PROBLEMS.bothLengths;
    if (head.minor === 0) return PROBLEMS.chunkedOld;
    return undefined;
  }
  head.framing = head.length === NO_LENGTH ? UNTIL_CLOSE : LENGTH;
  return undefined;
}

function settleTarget(head: Head): MessageProblem | undefined {
  const { method, target } = head;
  if (method === 'CONNECT') return PROBLEMS.connect;
  if (target.charCodeAt(0) === 0x2f)
    return head.hostIndex < 0 && head.minor === 1 ? PROBLEMS.host : undefined;
  if (target === '*') {
    if (method !== 'OPTIONS') return PROBLEMS.target;
    return head.hostIndex < 0 && head.minor === 1 ? PROBLEMS.host : undefined;
  }
  return settleAbsoluteTarget(head);
}

/** Absolute form: its authority must be Host's, so that no two readers choose differently. */
function settleAbsoluteTarget(head: Head): MessageProblem | undefined {
  const match = /^https?:\/\/([^/?@]+)(\/.*|\?.*)?$/i.exec(head.target);
  const authority = match?.[1];
  if (authority === undefined) return PROBLEMS.target;
  if (head.hostIndex < 0) return PROBLEMS.host;
  if (head.value(head.hostIndex).toLowerCase() !== authority.toLowerCase()) return PROBLEMS.hostMismatch;
  // RFC 9112 section 3.2.4: of OPTIONS for a whole server, the last proxy makes the asterisk form.
  const rest = match?.[2] ?? (head.method === 'OPTIONS' ? '*' : '/');
  head.target = rest.startsWith('?') ? `/${rest}` : rest;
  return undefined;
}

function host(
  head: Head,
  index: number,
  bytes: Buffer,
  start: number,
  end: number,
): MessageProblem | undefined {
  if (head.hostIndex >= 0 || start === end) return PROBLEMS.host;
  // Offsets below `end` were read by the parser.
  for (let i = start; i < end; i++) if (HOST[bytes[i] as number] !== 1) return PROBLEMS.host;
  head.hostIndex = index;
  return undefined;
}

function expect(head: Head, bytes: Buffer, start: number, end: number): MessageProblem | undefined {
  if (head.expectsContinue || bytes.toString('latin1', start, end).toLowerCase() !== '100-continue')
    return PROBLEMS.expectation;
  head.expectsContinue = true;
  return undefined;
}

function contentLength(head: Head, bytes: Buffer, start: number, end: number): MessageProblem | undefined {
  const digits = end - start;
  if (head.length !== NO_LENGTH || digits === 0 || digits > MAX_LENGTH_DIGITS) return PROBLEMS.contentLength;
  let length = 0;
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - 0x30; // below `end`, as above
    if (digit < 0 || digit > 9) return PROBLEMS.contentLength;
    length = length * 10 + digit;
  }
  head.length = length;
  return undefined;
}

function transferEncoding(head: Head, value: string): MessageProblem | undefined {
  if (head.framing === CHUNKED) return PROBLEMS.transferEncoding;
  const coding = value.toLowerCase();
  if (coding !== 'chunked')
    return /^(?!chunked)[a-z]+\s*,\s*chunked$/.test(coding)
      ? PROBLEMS.transferCoding
      : PROBLEMS.transferEncoding;
  head.framing = CHUNKED;
  return undefined;
}

function connection(head: Head, value: string): MessageProblem | undefined {
  if (value === 'keep-alive') {
    head.keepAlive = true;
    return undefined;
  }
  for (const part of value.toLowerCase().split(',')) {
    const option = part.trim();
    if (option === 'close') head.close = true;
    else if (option === 'keep-alive') head.keepAlive = true;
    else if (option === 'upgrade') head.connectionUpgrade = true;
    else if (NEVER_NOMINATED.has(option)) return PROBLEMS.connection;
    else if (option !== '') head.nominated.push(option);
  }
  return undefined;
}

/** Takes out what Connection named, now that all header lines are known. */
function removeNominated(head: Head): void {
  if (head.nominated.length === 0) return;
  for (const name of head.nominated) head.remove(name);
}

function keepAliveMs(value: string): number {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? -1 : Number(seconds) * 1000;
}

function drop(head: Head, index: number): void {
  head.lines.fate[index] = HOP_BY_HOP;
  head.dropsSome = true;
}

/** Whether the token at `start` reads as the lower-case `word` of the same length, case ignored. */
function spells(bytes: Buffer, start: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    if (((bytes[start + i] as number) | 0x20) !== word.charCodeAt(i)) return false; // a token: checked by the parser
  }
  return true;
}
