import { createHash } from 'node:crypto';
import { HTTP_2, type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import { phrase } from '../http/phrases.ts';
import { fieldLines } from './field-lines.ts';
import { CHUNKED, Head, NO_BODY, UNTIL_CLOSE } from './head.ts';

/** Ends every WebSocket key (RFC 6455 section 1.3). */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The status line of a response, and those of its header lines that are passed on. */
export function statusAndFields(head: MessageHead): string {
  const rest =
    head instanceof Head
      ? head.text.slice(8, head.fieldsStart) // reason phrase and all
      : ` ${head.status} ${phrase(head.status)}\r\n`;
  return `HTTP/1.1${rest}${fieldLines(head)}`;
}

/** How a response's body is framed for one client. */
export interface ResponseFraming {
  /** Header lines to add. */
  readonly fields: string;
  /** The data must be put into chunks. */
  readonly encode: boolean;
  /** The end of the connection ends the body. */
  readonly close: boolean;
}

const PLAIN: ResponseFraming = { fields: '', encode: false, close: false };
const EMPTY: ResponseFraming = { fields: 'content-length: 0\r\n', encode: false, close: false };
const ENCODE: ResponseFraming = { fields: 'transfer-encoding: chunked\r\n', encode: true, close: false };
const UNTIL_END: ResponseFraming = { fields: '', encode: false, close: true };

/** `request`: what is answered. A body in chunks stays in them for HTTP/1.1, and HTTP/1.0 knows none. */
export function framingOf(head: MessageHead, request: Head): ResponseFraming {
  if (head instanceof Head) {
    if (head.framing === UNTIL_CLOSE) return request.minor === 1 ? ENCODE : UNTIL_END;
    if (head.framing !== CHUNKED || request.minor === 1) return PLAIN;
    head.remove('transfer-encoding');
    return UNTIL_END;
  }
  const bodiless = head.status === 204 || head.status === 304 || request.method === 'HEAD';
  if (bodiless) return PLAIN;
  // HTTP/2 may end a response without telling its length, HTTP/1.1 may not.
  if (head.bodyLength === 0 && head.find('content-length', 0) < 0) return EMPTY;
  if (head.bodyLength !== UNKNOWN_LENGTH) return PLAIN;
  return request.minor === 1 ? ENCODE : UNTIL_END;
}

/** The head of a 101 that answers `request`; HTTP/2 says 200 instead (RFC 8441 section 5). */
export function switchingText(head: MessageHead, request: Head, added: string): string {
  const fields = fieldLines(head) + added;
  const lines = `connection: upgrade\r\nupgrade: ${head.upgrade || request.upgrade}\r\n`;
  const needsAccept = head.version === HTTP_2 && head.find('sec-websocket-accept', 0) < 0;
  const accept = needsAccept ? acceptLine(request) : '';
  return `HTTP/1.1 101 Switching Protocols\r\n${fields}${lines}${accept}\r\n`;
}

function acceptLine(request: Head): string {
  const key = request.get('sec-websocket-key');
  if (key === undefined) return '';
  const hash = createHash('sha1').update(key + WEBSOCKET_GUID);
  return `sec-websocket-accept: ${hash.digest('base64')}\r\n`;
}

/** Whether `head` lets `request` switch protocols. */
export function switches(head: MessageHead, request: Head): boolean {
  if (head.status === 101) return true;
  return (
    head.version === HTTP_2 && head.status === 200 && request.framing === NO_BODY && request.upgrade !== ''
  );
}
