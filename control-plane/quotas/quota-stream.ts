import type { ServerHttp2Stream } from 'node:http2';
import { lineReader } from '../../protocol/line-reader.ts';
import type { QuotaDraw } from '../../protocol/quotas/memory-quotas.ts';
import { type DrawRequest, type QuotaReply, quotaRequestSchema } from '../../protocol/quotas/messages.ts';
import { quotaTerms } from '../../protocol/quotas/quota-terms.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { Log } from '../log.ts';
import { DrawnBuckets } from './drawn-buckets.ts';
import { type QuotaStore, StoreOutage } from './quota-store.ts';
import { serviceOf } from './service-limits.ts';

/** A message of `MAX_ITEMS` items fits. */
const MAX_LINE_BYTES = 512 * 1024;
/** Of one stream. */
const MAX_UNANSWERED = 64;
const MAX_SERVICES = 1_000;
const LEAVE_MS = 1_000;

/** What a stream may draw on, by the registry. */
export interface QuotaAccess {
  /** The quotas of a service that this stream may draw on, by name; a text says why it may not. */
  limits(service: ServiceKey): ReadonlyMap<string, RateLimit> | string;
  /** The stream draws on a service, for the first time. */
  joined(service: ServiceKey): void;
}

/** What streams count together, since the start. */
export interface QuotaNumbers {
  messages: number;
  /** Parts of messages: one quota for one subject. */
  draws: number;
  granted: number;
  returned: number;
  /** Draws that got nothing. */
  exhausted: number;
  outages: number;
  refused: number;
}

type Read = DrawRequest & { readonly exact: boolean };

/** Who gets a grant knows it so soon, and leaves its share, in ms; if it draws meanwhile it is known at once. */
const SETTLE_MS = 1_000;

/** One sidecar's stream of draws. */
export class QuotaStream {
  /** Who draws, in the eyes of the store. */
  readonly member: string;
  /** Services that it drew on. */
  readonly services = new Set<ServiceKey>();
  /** How many share a service's quotas, as this sidecar was told last. */
  readonly told = new Map<ServiceKey, number>();
  /** Until when, by `performance.now()`, it may be on its share of a service's quotas, though it is there. */
  private readonly sharingMs = new Map<ServiceKey, number>();
  private readonly stream: ServerHttp2Stream;
  private readonly store: QuotaStore;
  private readonly access: QuotaAccess;
  private readonly numbers: QuotaNumbers;
  private readonly log: Log;
  /** It said that it ends: nobody goes on with its share. */
  leaves = false;
  private unanswered = 0;
  private onAnswered: () => void = () => {};
  private readonly lately = new DrawnBuckets();
  /** The store's clock minus that of this process, in ms. */
  private clockOffset = 0;

  constructor(
    stream: ServerHttp2Stream,
    member: string,
    store: QuotaStore,
    access: QuotaAccess,
    numbers: QuotaNumbers,
    log: Log,
  ) {
    this.stream = stream;
    this.member = member;
    this.store = store;
    this.access = access;
    this.numbers = numbers;
    this.log = log;
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    const read = lineReader(
      MAX_LINE_BYTES,
      (line) => this.onLine(line),
      () => this.end(`a line is longer than ${MAX_LINE_BYTES} bytes`),
    );
    stream.on('data', read);
    stream.on('drain', () => stream.resume());
    stream.on('end', () => stream.end());
  }

  /** Has the sidecar draw elsewhere. */
  bye(): void {
    if (this.stream.closed || this.stream.destroyed) return;
    this.stream.end();
    const force = setTimeout(() => this.stream.close(), LEAVE_MS).unref();
    this.stream.once('close', () => clearTimeout(force));
  }

  /** Tells new numbers of a quota. */
  tell(quota: string, { tokens, perMs, burst }: Pick<RateLimit, 'tokens' | 'perMs' | 'burst'>): void {
    this.write({ type: 'changed', quota, tokens, perMs, burst });
  }

  private end(reason: string): void {
    this.log.warn({ member: this.member, reason }, 'a stream of quotas was ended');
    this.stream.close();
  }

  private onLine(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      this.end('a line is not JSON');
      return;
    }
    const request = quotaRequestSchema.safeParse(value);
    if (!request.success)
      this.end(`a message is not understood: ${request.error.issues[0]?.message.slice(0, 200) ?? ''}`);
    else if (request.data.type === 'leave') this.leaves = true;
    else this.onRequest(request.data);
  }

  /** When nothing that it asked for is under way any more: a draw after it has left would make it a member again. */
  answered(): Promise<void> {
    if (this.unanswered === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onAnswered = resolve;
    });
  }

  /** Whether it may be on its share of a service's quotas: then that it answers says nothing to the store. */
  isSharing(service: ServiceKey, nowMs: number): boolean {
    return nowMs < (this.sharingMs.get(service) ?? 0);
  }

  private onRequest(request: Read): void {
    this.numbers.messages++;
    const service = serviceOf(request.items[0]?.quota ?? '');
    const draws = this.drawsOf(service, request);
    if (typeof draws === 'string') {
      this.numbers.refused++;
      this.write({ type: 'refused', id: request.id, detail: draws.slice(0, 500) });
      return;
    }
    this.unanswered++;
    const told = request.sharers ?? 0;
    this.told.set(service, told);
    const sharing = request.sharing === true;
    if (sharing) this.sharingMs.set(service, Number.POSITIVE_INFINITY);
    else this.sharingMs.delete(service);
    this.store.draw(service, this.member, request.exact, draws, told, sharing).then(
      ({ atMs, grants }) => {
        this.answer();
        if (this.sharingMs.has(service)) this.sharingMs.set(service, performance.now() + SETTLE_MS);
        this.told.set(service, grants[0]?.sharers ?? told);
        this.clockOffset = atMs - performance.now();
        for (const [at, { quota, subject, granted }] of grants.entries()) {
          this.count(draws[at]?.want ?? 0, granted);
          if (granted > 0 && draws[at]?.limit.algorithm !== 'concurrency')
            this.lately.note(`${quota}\n${subject}`, granted, atMs);
        }
        this.write({ type: 'grants', id: request.id, grants: [...grants] });
      },
      (error: unknown) => {
        this.answer();
        this.numbers.outages++;
        this.sharingMs.set(service, Number.POSITIVE_INFINITY);
        if (!(error instanceof StoreOutage)) this.log.error({ error: String(error) }, 'a draw failed');
        const detail = error instanceof StoreOutage ? error.message : 'the store failed';
        this.write({ type: 'outage', id: request.id, detail: detail.slice(0, 500) });
      },
    );
  }

  private answer(): void {
    this.unanswered--;
    if (this.unanswered === 0) this.onAnswered();
  }

  /** What is asked of the store, or why it is not. */
  private drawsOf(service: ServiceKey, { items, exact }: Read): QuotaDraw[] | string {
    if (this.unanswered >= MAX_UNANSWERED) return `${MAX_UNANSWERED} messages are not answered yet`;
    if (!this.services.has(service) && this.services.size >= MAX_SERVICES)
      return `a stream draws on ${MAX_SERVICES} services at most`;
    const limits = this.access.limits(service);
    if (typeof limits === 'string') return limits;
    const seen = new Set<string>();
    for (const { quota, subject } of items) {
      const bucket = exact ? quota : `${quota}\n${subject}`;
      if (seen.has(bucket)) return `${quota} stands twice in one message`;
      seen.add(bucket);
      if (!limits.has(quota)) return `there is no quota ${quota}`;
    }
    if (!this.services.has(service)) {
      this.services.add(service);
      this.access.joined(service);
    }
    return items.flatMap(({ quota, subject, want, back }) => {
      const limit = limits.get(quota);
      return limit === undefined
        ? []
        : { quota, subject, limit, want, back: this.returned(quota, subject, limit, back) };
    });
  }

  private returned(quota: string, subject: string, limit: RateLimit, count: number): QuotaDraw['back'] {
    const sinceMs = performance.now() + this.clockOffset - quotaTerms(limit).returnMs;
    const back = this.lately.take(`${quota}\n${subject}`, count, sinceMs);
    for (const part of back) this.numbers.returned += part.count;
    return back;
  }

  private count(want: number, granted: number): void {
    this.numbers.draws++;
    this.numbers.granted += granted;
    if (want > 0 && granted === 0) this.numbers.exhausted++;
  }

  private write(reply: QuotaReply): void {
    if (this.stream.destroyed || this.stream.writableEnded) return;
    // Who does not read what it asked for is not read either.
    if (!this.stream.write(`${JSON.stringify(reply)}\n`)) this.stream.pause();
  }
}
