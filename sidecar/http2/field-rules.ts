import type { Field } from '../http/field.ts';

/** What a field is to HTTP/2. Kept in `Field.rule`. */
const UNJUDGED = 0;
export const PLAIN = 1;
/** A name or value that no field may have, or a field that HTTP/2 forbids. */
export const MALFORMED = 2;
export const METHOD = 3;
export const SCHEME = 4;
export const AUTHORITY = 5;
export const PATH = 6;
export const PROTOCOL = 7;
export const STATUS = 8;
export const HOST = 9;
export const CONTENT_LENGTH = 10;
export const COOKIE = 11;
export const REQUEST_ID = 12;
/** Its value is another in each message: not worth a place in a compression table. */
export const UNIQUE = 13;

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** field-vchar, SP and HTAB of RFC 9110 section 5.5, obs-text included, no white space at either end. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SCHEME_NAME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
/** reg-name, IP-literal and port (RFC 3986 section 3.2.2), userinfo and percent-encoding left out. */
const HOST_AND_PORT = /^[A-Za-z0-9\-._~:[\]]+$/;
/** Visible ASCII without a fragment. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/;
const STATUS_CODE = /^[1-5][0-9][0-9]$/;
/** So many digits are exact in a double. */
const LENGTH = /^[0-9]{1,15}$/;

interface NameRule {
  readonly rule: number;
  readonly value: RegExp;
}

const NEVER = /(?!)/;

const RULES: ReadonlyMap<string, NameRule> = new Map<string, NameRule>([
  [':method', { rule: METHOD, value: TOKEN }],
  [':scheme', { rule: SCHEME, value: SCHEME_NAME }],
  [':authority', { rule: AUTHORITY, value: HOST_AND_PORT }],
  [':path', { rule: PATH, value: TARGET }],
  [':protocol', { rule: PROTOCOL, value: TOKEN }],
  [':status', { rule: STATUS, value: STATUS_CODE }],
  ['host', { rule: HOST, value: HOST_AND_PORT }],
  ['content-length', { rule: CONTENT_LENGTH, value: LENGTH }],
  ['cookie', { rule: COOKIE, value: VALUE }],
  ['x-request-id', { rule: REQUEST_ID, value: VALUE }],
  ['traceparent', { rule: UNIQUE, value: VALUE }],
  ['tracestate', { rule: UNIQUE, value: VALUE }],
  ['b3', { rule: UNIQUE, value: VALUE }],
  ['x-b3-traceid', { rule: UNIQUE, value: VALUE }],
  ['x-b3-spanid', { rule: UNIQUE, value: VALUE }],
  ['te', { rule: PLAIN, value: /^trailers$/i }],
  // Connection-specific fields (RFC 9113 section 8.2.2).
  ['connection', { rule: MALFORMED, value: NEVER }],
  ['keep-alive', { rule: MALFORMED, value: NEVER }],
  ['proxy-connection', { rule: MALFORMED, value: NEVER }],
  ['transfer-encoding', { rule: MALFORMED, value: NEVER }],
  ['upgrade', { rule: MALFORMED, value: NEVER }],
]);

/** What `field` is to HTTP/2 (RFC 9113 sections 8.2 and 8.3): looked at when it is first seen. */
export function ruleOf(field: Field): number {
  return field.rule === UNJUDGED ? judge(field) : field.rule;
}

function judge(field: Field): number {
  const known = RULES.get(field.name);
  if (known !== undefined) field.rule = known.value.test(field.value) ? known.rule : MALFORMED;
  else field.rule = NAME.test(field.name) && VALUE.test(field.value) ? PLAIN : MALFORMED;
  return field.rule;
}

/** Whether a field of an HTTP/1.1 message has no place in HTTP/2; `host` is there `:authority`. `name`: lower case. */
export function isLeftBehind(name: string): boolean {
  const rule = RULES.get(name)?.rule;
  return rule === MALFORMED || rule === HOST;
}

export function isUnique(name: string): boolean {
  const rule = RULES.get(name)?.rule;
  return rule === UNIQUE || rule === REQUEST_ID;
}
