/** `bodyLength` of a body whose end its framing tells. */
export const UNKNOWN_LENGTH = -1;

export const HTTP_10 = 10;
export const HTTP_11 = 11;
export const HTTP_2 = 20;

/** The head of a message, whichever version of HTTP brought it: what routing, filters and writers ask of it. */
export interface MessageHead {
  /** HTTP_10, HTTP_11 or HTTP_2. */
  readonly version: number;
  /** '' in a response. */
  readonly method: string;
  /** Request target: path and query, in HTTP/1.1 also the absolute form. */
  readonly target: string;
  /** 0 in a request. */
  readonly status: number;
  /** Host or :authority as it came; '' without one. */
  readonly authority: string;
  /** The value of x-request-id, or ''. */
  readonly requestId: string;
  /** Bytes; 0 when no body follows, UNKNOWN_LENGTH when its framing tells its end. */
  readonly bodyLength: number;
  /** What a request asks to switch to, or a 101 switches to (Upgrade, or :protocol of RFC 8441); '' for nothing. */
  readonly upgrade: string;
  /** Bytes that a slice of this head's text keeps in memory. */
  readonly heldBytes: number;
  /** Number of header lines, those included that are not passed on. */
  readonly count: number;
  /** Name of header line `index` as it came. */
  name(index: number): string;
  value(index: number): string;
  /** Whether header line `index` is passed on: it is neither hop-by-hop nor removed. */
  keeps(index: number): boolean;
  /** The first value of a header, or undefined. `name` is lower case. */
  get(name: string): string | undefined;
  /** Index of the first header `name` (lower case) at or after `from`, removed ones left out, or -1. */
  find(name: string, from: number): number;
  /** Takes every header `name` (lower case) out of what is passed on. */
  remove(name: string): void;
}
