/** What Tulle answers in place of a server: to HTTP by `status`, to gRPC by `grpcStatus`, or what `status` means there. */
export interface AnswerStatus {
  readonly status: number;
  readonly grpcStatus?: number;
}

/** Something wrong that is done to requests on purpose, to see how callers bear it. Either `delayMs` or `abort`. */
export interface Fault {
  /** The share of requests that get it, from 0 to 1. */
  readonly share: number;
  readonly delayMs?: number;
  readonly abort?: AnswerStatus;
  /** Only of requests with this header (lower case), of this value where one is given. */
  readonly header?: { readonly name: string; readonly value?: string };
}

/** A response that takes the place of the server's. */
export interface DirectResponse extends AnswerStatus {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Replaces a value that an expression matches as a whole. */
export interface Rewrite {
  readonly what: 'path' | 'header' | 'response-header';
  /** Of the header, lower case; '' of a path. */
  readonly name: string;
  readonly expression: string;
  /** With `$1` for what a group matched. */
  readonly replacement: string;
}

/** What callers are known again by, so that each stays with the backend that it got. */
export interface Sticky {
  /** The first that a request has counts: `client`, `ip`, `header:NAME`, `cookie:NAME`. */
  readonly by: readonly string[];
  /** A request that has none of them gets this cookie. */
  readonly cookie?: {
    readonly name: string;
    /** In s; absent: until the browser ends. */
    readonly maxAge?: number;
  };
}
