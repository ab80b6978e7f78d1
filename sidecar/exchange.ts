import type { Reason } from '../protocol/reasons.ts';
import type { RouteBackend } from '../protocol/route.ts';
import { withoutDotSegments } from './http/dot-segments.ts';
import { HTTP_2, type MessageHead } from './http/message-head.ts';
import type { Attempt, PolicyNote } from './telemetry/explanation.ts';

export type ListenerKind = 'inbound' | 'outbound' | 'gateway';

/**
 * Why a failed attempt was not made again. `policy`: it does not ask for it; `callee` and `caller`: another hop
 * retries; `asked`: the server wants none, or later than is waited for.
 */
export type Withheld =
  | 'asked'
  | 'body'
  | 'budget'
  | 'callee'
  | 'caller'
  | 'client'
  | 'deadline'
  | 'exhausted'
  | 'method'
  | 'policy';

/** What became of a second attempt beside a first; `refused`: by the budget. */
export type HedgeResult = 'won' | 'lost' | 'refused';

/** Text for a response that Tulle makes itself. */
export interface LocalAnswer {
  readonly status: number;
  readonly code: Reason;
  readonly detail: string;
  /** For a gRPC caller, where `status` and `code` do not say it. */
  readonly grpcStatus?: number;
  /** Whole header lines, each with its CRLF. */
  readonly fields?: string;
  /** There is nothing to tell in a body. */
  readonly bare?: true;
  /** In place of problem details. `bytes`: `text` as it is written, one character a byte. */
  readonly body?: { readonly type: string; readonly text: string; readonly bytes: string };
}

/** Something that a filter has for an exchange until it is over. */
export interface Held {
  release(nowMs: number): void;
}

/**
 * One request on its way, and all that is known about it: what filters look at and change, and what is
 * told of it afterwards. Reused from request to request of a connection.
 */
export class Exchange {
  readonly listener: ListenerKind;
  /** What the caller asked for in TLS that ended here (SNI), lower case; '' when it named nothing. */
  serverName = '';
  /** Identity of the caller, `namespace/serviceaccount`, or '' when it did not prove one. */
  peer = '';
  /** IP and port of the caller's socket. */
  peerAddress = '';
  mtls = false;
  /** Of the listener; where its port is not known (0), it is the one that the request names. */
  scheme: 'http' | 'https' = 'http';
  listenerPort = 0;

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
  /** Of a route, the one that was chosen. */
  backend: RouteBackend | undefined = undefined;
  /** What the caller is known again by, a number of 32 bits; -1: its backend is chosen by chance. */
  sticky = -1;
  /** A filter that returns LATER is gone on from after so many ms; 0: when it says so. */
  holdMs = 0;
  /** How often it was held back on purpose. */
  delays = 0;
  /** Header lines to add to the request, each with its CRLF. */
  requestFields = '';
  responseFields = '';
  readonly attempts: Attempt[] = [];
  readonly policies: PolicyNote[] = [];
  /** Why the last failed attempt was not made again, '' when none failed. */
  withheld: Withheld | '' = '';
  /** '' where there was no hedge. */
  hedge: HedgeResult | '' = '';
  /** Made for the first: most have nothing. */
  held: Held[] | undefined = undefined;

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
    if (this.listener === 'gateway') this.settlePath();
    this.host = hostName(head.authority);
    this.grpc = head.version === HTTP_2 && isGrpc(head);
    this.grpcStatus = -1;
    // Inbound, it is the connection's; on the way out it is the attempt's.
    if (this.listener !== 'inbound') this.mtls = false;
    this.id = '';
    this.route = '';
    this.routeWhy = '';
    this.service = '';
    this.backend = undefined;
    this.sticky = -1;
    this.holdMs = 0;
    this.delays = 0;
    this.requestFields = '';
    this.responseFields = '';
    this.attempts.length = 0;
    this.policies.length = 0;
    this.withheld = '';
    this.hedge = '';
    this.status = 0;
    this.reason = '';
    this.detail = '';
    this.requestBytes = 0;
    this.responseBytes = 0;
  }

  /** At the edge a path means one place: who is let into `/open` must not come from there to `/admin`. */
  private settlePath(): void {
    const settled = withoutDotSegments(this.path);
    if (settled === this.path) return;
    this.target = settled + this.target.slice(this.path.length);
    this.path = settled;
  }

  /** First value of a request header; `name` in lower case. HTTP/2 has another place for `host`. */
  header(name: string): string | undefined {
    const value = this.head.get(name);
    return value === undefined && name === 'host' ? this.head.authority || undefined : value;
  }

  /** Who does so lets it go in its `onEnd`. */
  hold(one: Held): void {
    if (this.held === undefined) this.held = [one];
    else this.held.push(one);
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
