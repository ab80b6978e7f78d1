import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import { UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import {
  AUTHORITY,
  CONTENT_LENGTH,
  COOKIE,
  HOST,
  MALFORMED,
  METHOD,
  PATH,
  PLAIN,
  PROTOCOL,
  REQUEST_ID,
  ruleOf,
  SCHEME,
  STATUS,
} from './field-rules.ts';
import type { Http2Head } from './http2-head.ts';
import { MALFORMED_MESSAGES, REFUSALS } from './problems.ts';

const REQUEST_PSEUDO = (1 << METHOD) | (1 << SCHEME) | (1 << AUTHORITY) | (1 << PATH) | (1 << PROTOCOL);
const RESPONSE_PSEUDO = 1 << STATUS;
/** HTTP within a tunnel would pass by all policies, as in an upgrade of HTTP/1.1. */
const HTTP_AGAIN = /\bh2c?\b|^http/i;
const PLAIN_REQUEST = (1 << METHOD) | (1 << SCHEME) | (1 << PATH);

/** Fills in the head of a request from its fields. `ends`: no data follows. A problem of status 400 is a stream error. */
export function readRequestHead(head: Http2Head, ends: boolean, limits: Limits): MessageProblem | undefined {
  const seen = readPseudo(head, REQUEST_PSEUDO);
  if (seen < 0) return MALFORMED_MESSAGES.pseudo;
  const problem = readFields(head) ?? settleTarget(head, seen) ?? settleLength(head, ends);
  if (problem !== undefined) return problem;
  if (head.target.length > limits.targetBytes) return REFUSALS.targetLong;
  if (HTTP_AGAIN.test(head.upgrade)) return REFUSALS.httpAgain;
  // The data of an extended CONNECT is no body, but its tunnel's.
  if (head.upgrade !== '') head.bodyLength = 0;
  else if (head.method === 'CONNECT') return REFUSALS.connect;
  return undefined;
}

/** As `readRequestHead`. `bodiless`: the request was HEAD, whose answer has no data whatever its length says. */
export function readResponseHead(
  head: Http2Head,
  ends: boolean,
  bodiless: boolean,
): MessageProblem | undefined {
  const seen = readPseudo(head, RESPONSE_PSEUDO);
  if (seen < 0) return MALFORMED_MESSAGES.pseudo;
  if (seen === 0) return MALFORMED_MESSAGES.status;
  const { status } = head;
  if (status < 200 && (ends || status === 101)) return MALFORMED_MESSAGES.interim;
  const problem = readFields(head);
  if (problem !== undefined) return problem;
  if (bodiless || status === 204 || status === 304 || status < 200) {
    head.bodyLength = 0;
    return undefined;
  }
  return settleLength(head, ends);
}

/** Trailers have no pseudo-header fields, and none that frames or routes the message. */
export function checkTrailers(fields: readonly Field[]): MessageProblem | undefined {
  for (const field of fields) {
    const rule = ruleOf(field);
    if (rule === MALFORMED || (rule >= METHOD && rule <= CONTENT_LENGTH)) return MALFORMED_MESSAGES.trailers;
  }
  return undefined;
}

/** Reads the leading pseudo-header fields. Returns a bit for each rule that was seen, or -1. */
function readPseudo(head: Http2Head, allowed: number): number {
  const { fields } = head;
  let seen = 0;
  let index = 0;
  for (; index < fields.length; index++) {
    const field = fields[index] as Field; // below length
    const rule = ruleOf(field);
    if (rule < METHOD || rule > STATUS) break;
    const bit = 1 << rule;
    if ((allowed & bit) === 0 || (seen & bit) !== 0) return -1;
    seen |= bit;
    takePseudo(head, rule, field.value);
  }
  head.pseudo = index;
  return seen;
}

function takePseudo(head: Http2Head, rule: number, value: string): void {
  if (rule === METHOD) head.method = value;
  else if (rule === PATH) head.target = value;
  else if (rule === AUTHORITY) head.authority = value;
  else if (rule === SCHEME) head.scheme = value;
  else if (rule === PROTOCOL) head.upgrade = value;
  else head.status = Number(value);
}

function readFields(head: Http2Head): MessageProblem | undefined {
  const { count } = head;
  let cookies = 0;
  for (let index = 0; index < count; index++) {
    const field = head.field(index);
    const rule = ruleOf(field);
    if (rule === PLAIN) continue;
    if (rule === MALFORMED) return MALFORMED_MESSAGES.field;
    if (rule <= STATUS) return MALFORMED_MESSAGES.pseudo;
    if (rule === COOKIE) cookies++;
    else if (rule === REQUEST_ID) head.requestId = head.requestId === '' ? field.value : head.requestId;
    else if (rule === HOST) {
      if (!takeHost(head, index, field.value)) return MALFORMED_MESSAGES.host;
    } else if (rule === CONTENT_LENGTH) {
      if (head.bodyLength !== UNKNOWN_LENGTH) return MALFORMED_MESSAGES.length;
      head.bodyLength = Number(field.value);
    }
  }
  if (cookies > 1) head.joinCookies();
  return undefined;
}

/** Host says what :authority says, or stands for it (RFC 9113 section 8.3.1). */
function takeHost(head: Http2Head, index: number, value: string): boolean {
  head.drop(index);
  if (head.authority === '') head.authority = value;
  return head.authority === value || head.authority.toLowerCase() === value.toLowerCase();
}

function settleTarget(head: Http2Head, seen: number): MessageProblem | undefined {
  const { method, target } = head;
  if (method === 'CONNECT') return settleConnect(head, seen);
  if ((seen & PLAIN_REQUEST) !== PLAIN_REQUEST || head.upgrade !== '') return MALFORMED_MESSAGES.missing;
  if (target.charCodeAt(0) === 0x2f || (target === '*' && method === 'OPTIONS')) return undefined;
  return MALFORMED_MESSAGES.missing;
}

function settleConnect(head: Http2Head, seen: number): MessageProblem | undefined {
  if (head.authority === '') return MALFORMED_MESSAGES.connect;
  const plain = (1 << METHOD) | (1 << AUTHORITY);
  if (head.upgrade === '') return (seen & ~plain) === 0 ? undefined : MALFORMED_MESSAGES.connect;
  const whole = (seen & PLAIN_REQUEST) === PLAIN_REQUEST && head.target.charCodeAt(0) === 0x2f;
  return whole ? undefined : MALFORMED_MESSAGES.connect;
}

function settleLength(head: Http2Head, ends: boolean): MessageProblem | undefined {
  if (!ends) return undefined;
  if (head.bodyLength > 0) return MALFORMED_MESSAGES.length;
  head.bodyLength = 0;
  return undefined;
}
