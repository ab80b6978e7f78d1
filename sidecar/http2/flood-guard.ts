import type { Http2Limits } from './http2-limits.ts';

/** What an attacker tried. Also the debug data of the GOAWAY that ends it. */
export type Protection =
  /** Streams opened and reset at once (CVE-2023-44487), or made to be reset by us (CVE-2025-8671). */
  | 'rapid-reset'
  /** A header block without end (CVE-2024-27316). */
  | 'continuation-flood'
  /** A header block that unpacks to far more than it is. */
  | 'header-bomb'
  /** CVE-2019-9512. */
  | 'ping-flood'
  /** CVE-2019-9515. */
  | 'settings-flood'
  /** CVE-2019-9518. */
  | 'empty-frames'
  /** Credit in crumbs (CVE-2019-9511). */
  | 'window-flood'
  /** CVE-2019-9513. */
  | 'priority-flood'
  | 'too-many-streams'
  /** Makes us answer and does not read (CVE-2019-9517). */
  | 'output-flood'
  /** A response that is asked for and never taken. */
  | 'slow-window';

/** A WINDOW_UPDATE of less costs the sender of data more than it brings. */
const CRUMB_BYTES = 256;
const UPDATES_A_FRAME = 10;
const UPDATES_A_STREAM = 4;
const PRIORITIES_A_STREAM = 4;

/**
 * Counts what costs us more than the peer, in spans of `windowMs`, and against the useful work in the same span:
 * who works much may also reset and ask much. Each method returns false when it is too much.
 */
export class FloodGuard {
  private readonly limits: Http2Limits;
  private spanStart = 0;
  private opened = 0;
  private resets = 0;
  private refusals = 0;
  private pings = 0;
  private settings = 0;
  private empty = 0;
  private updates = 0;
  private priorities = 0;
  /** Frames of streams that we sent. */
  private sent = 0;

  constructor(limits: Http2Limits) {
    this.limits = limits;
  }

  /** Called once a read. */
  tick(nowMs: number): void {
    if (nowMs - this.spanStart < this.limits.windowMs) return;
    this.spanStart = nowMs;
    this.opened = 0;
    this.resets = 0;
    this.refusals = 0;
    this.pings = 0;
    this.settings = 0;
    this.empty = 0;
    this.updates = 0;
    this.priorities = 0;
    this.sent = 0;
  }

  streamOpened(): void {
    this.opened++;
  }

  frameSent(): void {
    this.sent++;
  }

  reset(): boolean {
    return ++this.resets <= this.limits.resets || this.resets * 2 <= this.opened;
  }

  refused(): boolean {
    return ++this.refusals <= this.limits.refusals;
  }

  ping(): boolean {
    return ++this.pings <= this.limits.pings + this.sent;
  }

  setting(): boolean {
    return ++this.settings <= this.limits.settings;
  }

  emptyFrame(): boolean {
    return ++this.empty <= this.limits.emptyFrames;
  }

  windowUpdate(increment: number): boolean {
    this.updates += increment < CRUMB_BYTES ? UPDATES_A_FRAME + 1 : 1;
    const earned = UPDATES_A_FRAME * this.sent + UPDATES_A_STREAM * this.opened;
    return this.updates <= this.limits.windowUpdates + earned;
  }

  priority(): boolean {
    return ++this.priorities <= this.limits.priorities + PRIORITIES_A_STREAM * this.opened;
  }
}
