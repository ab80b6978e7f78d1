import { randomBytes } from 'node:crypto';
import type { Exchange } from '../exchange.ts';
import type { MessageHead } from '../http/message-head.ts';

const MAX_LENGTH = 128;
/** Unique for this process; the counter makes it unique for the request. Not a secret. */
const prefix = randomBytes(9).toString('base64url');
let count = 0;

export function newRequestId(): string {
  return `${prefix}-${(++count).toString(36)}`;
}

/** Whether an id that came with a request can be used in logs, headers and URLs as it is. */
export function isRequestId(id: string): boolean {
  return id.length <= MAX_LENGTH && /^[A-Za-z0-9._:-]+$/.test(id);
}

/** A request keeps the id that it came with where that is `trusted`, or gets a new one. */
export function takeRequestId(exchange: Exchange, head: MessageHead, trusted: boolean): void {
  const given = head.requestId;
  if (given !== '' && trusted && isRequestId(given)) {
    exchange.id = given;
    return;
  }
  exchange.id = newRequestId();
  if (given !== '') head.remove('x-request-id');
  exchange.requestFields = `x-request-id: ${exchange.id}\r\n`;
}
