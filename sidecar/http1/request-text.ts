import { randomBytes } from 'node:crypto';
import { HTTP_2, UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { OutgoingRequest } from '../http/upstream.ts';
import { fieldLines } from './field-lines.ts';

/** Whether the body of `request` must be put into chunks: its length is not known, and it is in none yet. */
export function needsChunks({ head, upgrade }: OutgoingRequest): boolean {
  return head.version === HTTP_2 && head.bodyLength === UNKNOWN_LENGTH && upgrade === '';
}

/** The whole head of a request as HTTP/1.1 sends it. */
export function requestText(request: OutgoingRequest): string {
  const { head, target, fields, upgrade } = request;
  if (upgrade !== '' && head.version === HTTP_2) {
    // An upgrade has no body, and its key is made here.
    head.remove('content-length');
    head.remove('sec-websocket-key');
  }
  const line = `${methodOf(request)} ${target} HTTP/1.1\r\n`;
  return `${line}${hostLine(request)}${fieldLines(head)}${fields}${framingLines(request)}\r\n`;
}

/** An extended CONNECT is an upgrade in HTTP/1.1 (RFC 8441 section 5). */
function methodOf({ head, method, upgrade }: OutgoingRequest): string {
  return upgrade !== '' && head.version === HTTP_2 ? 'GET' : method;
}

/** Empty where the host is among the lines that follow. */
function hostLine({ head, fields }: OutgoingRequest): string {
  if (head.version === HTTP_2) return hasHost(fields) ? '' : `host: ${head.authority}\r\n`;
  // HTTP/1.0 may come without Host, which HTTP/1.1 must have.
  return head.authority === '' && head.find('host', 0) < 0 && !hasHost(fields) ? 'host: \r\n' : '';
}

function hasHost(fields: string): boolean {
  return /^host:/im.test(fields);
}

function framingLines(request: OutgoingRequest): string {
  const { head, upgrade } = request;
  if (upgrade === '') return needsChunks(request) ? 'transfer-encoding: chunked\r\n' : '';
  const lines = `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  if (head.version !== HTTP_2 || upgrade.toLowerCase() !== 'websocket') return lines;
  // HTTP/2 carries no key, and HTTP/1.1 cannot do without.
  return `${lines}sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n`;
}
