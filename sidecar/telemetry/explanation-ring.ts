import type { Exchange } from '../exchange.ts';
import type { Attempt, Explanation, PolicyNote } from './explanation.ts';

const NO_ATTEMPTS: readonly Attempt[] = [];
const NO_POLICIES: readonly PolicyNote[] = [];
const MAX_PATH = 512;

function blank(): Explanation {
  return {
    id: '', at: 0, listener: '', peer: '', peerAddress: '', method: '', host: '', path: '', route: '', routeWhy: '', service: '',
    attempts: NO_ATTEMPTS, policies: NO_POLICIES, status: 0, reason: '', detail: '', durationMs: 0, requestBytes: 0, responseBytes: 0, mtls: false,
  };
}

/** The last so many explanations: entries are written over, the oldest first. */
class Ring {
  private readonly entries: Explanation[] = [];
  private next = 0;
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  /** The entry to fill. */
  claim(): Explanation {
    let entry = this.entries[this.next];
    if (entry === undefined) {
      entry = blank();
      this.entries.push(entry);
    }
    this.next = (this.next + 1) % this.size;
    return entry;
  }

  find(id: string): Explanation | undefined {
    return this.newestFirst().find((entry) => entry.id === id);
  }

  newestFirst(): Explanation[] {
    return [...this.entries.slice(0, this.next).reverse(), ...this.entries.slice(this.next).reverse()].filter((entry) => entry.id !== '');
  }
}

/** Keeps explanations: of all requests for a while, of failed, retried and slow ones for longer. */
export class Explanations {
  private readonly all: Ring;
  private readonly notable: Ring;
  private readonly slowMs: number;

  constructor({ all = 2048, notable = 512, slowMs = 1000 } = {}) {
    this.all = new Ring(all);
    this.notable = new Ring(notable);
    this.slowMs = slowMs;
  }

  /** Copies what an exchange holds; `nowMs` is its end on the clock of its start. */
  record(exchange: Exchange, nowMs: number): void {
    const durationMs = nowMs - exchange.startMs;
    const notable = exchange.status >= 500 || exchange.reason !== '' || exchange.attempts.length > 1 || durationMs > this.slowMs;
    fill((notable ? this.notable : this.all).claim(), exchange, durationMs);
  }

  find(id: string): Explanation | undefined {
    return this.notable.find(id) ?? this.all.find(id);
  }

  /** The newest, notable ones first. */
  recent(limit: number): Explanation[] {
    return [...this.notable.newestFirst(), ...this.all.newestFirst()].slice(0, limit);
  }
}

function fill(entry: Explanation, exchange: Exchange, durationMs: number): void {
  entry.id = exchange.id;
  entry.at = performance.timeOrigin + exchange.startMs;
  entry.listener = exchange.listener;
  entry.peer = exchange.peer;
  entry.peerAddress = exchange.peerAddress;
  entry.method = exchange.method;
  entry.host = exchange.host;
  entry.path = exchange.path.length > MAX_PATH ? exchange.path.slice(0, MAX_PATH) : exchange.path;
  entry.route = exchange.route;
  entry.routeWhy = exchange.routeWhy;
  entry.service = exchange.service;
  entry.attempts = exchange.attempts.length === 0 ? NO_ATTEMPTS : exchange.attempts.slice();
  entry.policies = exchange.policies.length === 0 ? NO_POLICIES : exchange.policies.slice();
  entry.status = exchange.status;
  entry.reason = exchange.reason;
  entry.detail = exchange.detail;
  entry.durationMs = durationMs;
  entry.requestBytes = exchange.requestBytes;
  entry.responseBytes = exchange.responseBytes;
  entry.mtls = exchange.mtls;
}
