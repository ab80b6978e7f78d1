/** What HTTP/2 takes from a peer, besides `Limits`. Sizes in bytes, times in ms, rates in each `windowMs`. */
export interface Http2Limits {
  /** SETTINGS_INITIAL_WINDOW_SIZE that we announce: the most that one paused stream keeps in memory. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** SETTINGS_MAX_CONCURRENT_STREAMS that we announce. */
  readonly streams: number;
  /** The compression table that a peer may use on us, and that we use at most. */
  readonly tableBytes: number;
  /** Bytes that wait for a peer that does not read, data of streams not counted. */
  readonly outputBytes: number;
  /** CONTINUATION frames of one header block. */
  readonly continuations: number;
  /** Silence with streams open after which a client asks with PING whether the server is there. */
  readonly pingMs: number;
  /** A request that is given up after so long without a byte from the server has it asked at once. */
  readonly doubtMs: number;
  /** And how long it waits for the answer. */
  readonly pingAckMs: number;
  /** A stream whose data waits for the peer's window. */
  readonly stalledMs: number;
  /** From the first GOAWAY of a drain to the last, where no PING is acknowledged. */
  readonly drainMs: number;
  /** How long what a closing peer still sends is read and thrown away. */
  readonly lingerMs: number;

  /** The span in which what follows is counted. */
  readonly windowMs: number;
  /** Streams reset within `youngMs` of their start, or reset for an error of the client's. */
  readonly resets: number;
  readonly youngMs: number;
  /** Streams that were refused for being too many. */
  readonly refusals: number;
  /** PINGs beyond the frames of streams that we sent. */
  readonly pings: number;
  readonly settings: number;
  /** Frames that carry nothing: DATA, HEADERS or CONTINUATION without payload or END flag. */
  readonly emptyFrames: number;
  /** WINDOW_UPDATEs beyond ten for each frame of data that we sent and four for each stream. */
  readonly windowUpdates: number;
  /** PRIORITYs beyond four for each stream. */
  readonly priorities: number;
}

/**
 * Chosen against what others do.
 * - streams: Go 250, nginx 128, h2o 100; Envoy has no limit but advises 100. A mesh multiplexes more than a browser.
 * - windows: Envoy 256 MiB by default and 64 KiB / 1 MiB where it is exposed; nginx 64 KiB; Go 1 MiB. At
 *   256 KiB a stream fills 2 Gbit/s over 1 ms, and 250 paused streams keep 64 MiB at the very most.
 * - resets: Envoy ends a connection at 500 premature resets (within 1 s) if they are half of its streams.
 * - continuations: Envoy and nginx bound the size alone, nghttp2 takes 8; 64 KiB of head need 4 of full size.
 * - settings, pings, emptyFrames: Envoy allows 1 empty frame in a row, 10 WINDOW_UPDATEs for each DATA frame and 100
 *   PRIORITYs for each stream. PINGs are allowed in proportion: gRPC measures its bandwidth with one a round trip.
 * - outputBytes: Go queues 10,000 control frames (170 KB), Envoy 1,000; heads of responses count here too.
 * - stalledMs: nginx's send_timeout is 60 s, Envoy's stream_idle_timeout 300 s; a gRPC client may rightly be slow.
 */
export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  streams: 250,
  tableBytes: 4096,
  outputBytes: 1024 * 1024,
  continuations: 32,
  pingMs: 30_000,
  doubtMs: 200,
  pingAckMs: 10_000,
  stalledMs: 300_000,
  drainMs: 1_000,
  lingerMs: 2_000,
  windowMs: 10_000,
  resets: 500,
  youngMs: 1_000,
  refusals: 500,
  pings: 500,
  settings: 100,
  emptyFrames: 100,
  windowUpdates: 1_000,
  priorities: 500,
};
