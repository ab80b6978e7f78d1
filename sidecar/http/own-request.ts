import { HTTP_11, type MessageHead } from './message-head.ts';
import type { OutgoingRequest } from './upstream.ts';

/** The head of a request that nobody sent to us: all its header lines are added ones. */
const OWN_HEAD: MessageHead = {
  version: HTTP_11,
  method: '',
  target: '',
  status: 0,
  authority: '',
  requestId: '',
  bodyLength: 0,
  upgrade: '',
  heldBytes: 0,
  count: 0,
  name: () => '',
  value: () => '',
  keeps: () => false,
  get: () => undefined,
  find: () => -1,
  remove() {},
};

/** A request that Tulle makes itself. `fields`: whole header lines, `host` among them, and in HTTP/1.1 the body's framing. */
export function ownRequest(method: string, target: string, fields: string): OutgoingRequest {
  return { head: OWN_HEAD, method, target, fields, upgrade: '', decode: true };
}
