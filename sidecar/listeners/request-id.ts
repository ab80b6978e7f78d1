import { randomBytes } from 'node:crypto';

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
