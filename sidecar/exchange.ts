import type { Reason } from '../protocol/reasons.ts';
import { HTTP_2, type MessageHead } from './http/message-head.ts';
import type { Attempt, PolicyNote } from './telemetry/explanation.ts';

export type ListenerKind = 'inbound' | 'outbound' | 'gateway';

/** Text for a response that Tulle makes itself. */
export interface LocalAnswer {
  readonly status: number;
  readonly code: Reason;
  readonly detail: string;
  /** Whole header lines, each with its CRLF. */
  readonly fields?: string;
}

/**
 * One request on its way, and all that is known about it: what filters look at and change, and what is
 * told of it afterwards. Reused from request to request of a connection.
 */
export class Exchange {
  readonly listener: ListenerKind;
  /** Identity of the caller, `namespace/serviceaccount`, or '' when it did not prove one. */
  peer = '';
  /** IP and port of the caller's socket. */
  peerAddress = '';
  mtls = false;

  id = '';
  head: MessageHead;
  method = '';
  /** Request target as it is forwarded. */
  target = '';
  /** Without query. */
  path = '';
  query = '';
  /** Lower case, without port. */
  host = '';
  startMs = 0;

  route = '';
  routeWhy = '';
  service = '';
  /** Header lines to add to the request, each with its CRLF. */
  requestFields = '';
  responseFields = '';
  readonly attempts: Attempt[] = [];
  readonly policies: PolicyNote[] = [];

  status = 0;
  /** A gRPC call. */
  grpc = false;
  /** Its gRPC status, -1 while there is none. */
  grpcStatus = -1;
  /** The code of what Tulle did to it; '' when it had no part in the end. */
  reason: Reason | '' = '';
  detail = '';
  requestBytes = 0;
  responseBytes = 0;

  constructor(listener: ListenerKind, head: MessageHead) {
    this.listener = listener;
    this.head = head;
  }

  /** Makes it a new exchange for the request of `head`. */
  begin(head: MessageHead, startMs: number): void {
    this.head = head;
    this.startMs = startMs;
    this.method = head.method;
    this.target = head.target;
    const mark = head.target.indexOf('?');
    this.path = mark < 0 ? head.target : head.target.slice(0, mark);
    this.query = mark < 0 ? '' : head.target.slice(mark + 1);
    this.host = hostName(head.authority);
    this.grpc = head.version === HTTP_2 && isGrpc(head);
    this.grpcStatus = -1;
    // Inbound, it is the connection's; on the way out it is the attempt's.
    if (this.listener !== 'inbound') this.mtls = false;
    this.id = '';
    this.route = '';
    this.routeWhy = '';
    this.service = '';
    this.requestFields = '';
    this.responseFields = '';
    this.attempts.length = 0;
    this.policies.length = 0;
    this.status = 0;
    this.reason = '';
    this.detail = '';
    this.requestBytes = 0;
    this.responseBytes = 0;
  }

  /** First value of a request header; `name` in lower case. */
  header(name: string): string | undefined {
    return this.head.get(name);
  }

  /** Tells what a policy decided, for the explanation. */
  note(policy: string, decision: string, detail: string): void {
    this.policies.push({ policy, decision, detail });
  }
}

/** `application/grpc`, alone or with a suffix: `application/grpc+proto`. */
export function isGrpc(head: MessageHead): boolean {
  const type = head.get('content-type');
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  const next = type.charAt('application/grpc'.length);
  return next === '' || next === '+' || next === ';';
}

let lastHost = '';
let lastName = '';

/** Lower case, port and trailing dot cut off. The last answer is kept: hosts repeat. */
function hostName(value: string): string {
  if (value === lastHost) return lastName;
  const end = value.startsWith('[') ? value.indexOf(']') + 1 : value.indexOf(':');
  const name = (end > 0 ? value.slice(0, end) : value).toLowerCase();
  lastHost = value;
  lastName = name.endsWith('.') ? name.slice(0, -1) : name;
  return lastName;
}
