import { randomUUID } from 'node:crypto';
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { QuotaMember } from '../../protocol/quotas/memory-quotas.ts';
import { GATEWAY_HEADER, NODE_HEADER } from '../../protocol/quotas/messages.ts';
import { CONTACT_MS } from '../../protocol/quotas/presence.ts';
import type { ServiceResource } from '../../protocol/resources.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { Log } from '../log.ts';
import type { Change, Registry } from '../registry/registry.ts';
import type { AnnouncedQuota, QuotaStore } from './quota-store.ts';
import { type QuotaNumbers, QuotaStream } from './quota-stream.ts';
import { limitsOf, sendsTo, standsBeside } from './service-limits.ts';

const NODE = /^[\w.:/-]{1,128}$/;
const GATEWAY = /^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/;
/** An answer to a ping proves so long that a sidecar is there, in ms. */
const ANSWER_MS = 300;
/** Numbers that another control plane has told are believed so long, until the registry says them too, in ms. */
const ANNOUNCED_MS = 5_000;
/** A quota that is no more is still drawn on by sidecars that do not know it yet: for so long at most, in ms. */
const RETIRED_MS = 2_000;

/** Who was refused is so again for so long without another look, in ms: to work out a large service takes 10 ms. */
const REFUSED_MS = 250;
const MAX_REFUSED = 10_000;

/** Whom to ask whether somebody is there. */
interface Contact {
  pinged: boolean;
  answeredMs: number;
}

interface KnownService {
  limits: ReadonlyMap<string, RateLimit>;
  /** Of another control plane, which knew earlier. */
  announced: { readonly quotas: readonly AnnouncedQuota[]; readonly untilMs: number } | undefined;
  /** What was there until lately. */
  retired: { readonly limits: ReadonlyMap<string, RateLimit>; readonly untilMs: number } | undefined;
  streams: number;
}

/** Serves draws on quotas to sidecars. */
export interface QuotaServer {
  readonly numbers: QuotaNumbers;
  /** How many streams there are. */
  readonly streams: number;
  /** Takes a stream of `peer`, `namespace/serviceaccount`. */
  accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string): void;
  onChanges(changes: readonly Change[]): void;
  /** Has all sidecars draw elsewhere. */
  close(): void;
}

export function openQuotaServer(store: QuotaStore, registry: Registry, log: Log): QuotaServer {
  return new Quotas(store, registry, log);
}

class Quotas implements QuotaServer {
  readonly numbers: QuotaNumbers = {
    messages: 0,
    draws: 0,
    granted: 0,
    returned: 0,
    exhausted: 0,
    outages: 0,
    refused: 0,
  };
  private readonly store: QuotaStore;
  private readonly registry: Registry;
  private readonly log: Log;
  private readonly open = new Map<QuotaStream, Http2Session | undefined>();
  private readonly contacts = new WeakMap<Http2Session, Contact>();
  /** Services that any stream draws on. */
  private readonly services = new Map<ServiceKey, KnownService>();
  /** Until when, by who asked for what. */
  private readonly refused = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(store: QuotaStore, registry: Registry, log: Log) {
    this.store = store;
    this.registry = registry;
    this.log = log;
    store.onAnnounced((service, quotas) => this.onAnnounced(service, quotas));
    this.timer = setInterval(() => this.keepContact(), CONTACT_MS).unref();
  }

  get streams(): number {
    return this.open.size;
  }

  accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string): void {
    const { session } = stream;
    const node = String(headers[NODE_HEADER] ?? '');
    const named = String(headers[GATEWAY_HEADER] ?? '');
    const gateway = GATEWAY.test(named) ? named : undefined;
    const member = `${peer} ${NODE.test(node) ? node : randomUUID()}`;
    const quotas = new QuotaStream(
      stream,
      member,
      this.store,
      {
        limits: (service) => this.limitsFor(service, peer, gateway),
        joined: (service) => this.join(service),
      },
      this.numbers,
      this.log,
    );
    this.open.set(quotas, session);
    stream.on('close', () => {
      this.open.delete(quotas);
      for (const service of quotas.services) this.leave(service);
      // One without a name never comes back.
      if (quotas.leaves || !NODE.test(node)) void this.giveAway(quotas);
    });
  }

  /** Others may have the share of one that is gone for good. Who is gone without a word may go on with it by itself. */
  private async giveAway(quotas: QuotaStream): Promise<void> {
    await quotas.answered();
    if (this.isHere(quotas.member)) return;
    for (const service of quotas.services) this.store.leave(service, quotas.member);
  }

  /** Who connects again may be here before its old connection is known to be gone. */
  private isHere(member: string): boolean {
    return this.open.keys().some((one) => one.member === member);
  }

  onChanges(changes: readonly Change[]): void {
    for (const { kind, key } of changes) {
      const known = kind === 'service' ? this.services.get(key) : undefined;
      if (known === undefined) continue;
      const before = this.limits(known);
      known.limits = this.registered(key);
      known.announced = undefined;
      const gone = [...before].filter(([quota]) => !known.limits.has(quota));
      if (gone.length > 0) known.retired = { limits: new Map(gone), untilMs: performance.now() + RETIRED_MS };
      const changed = [...known.limits].filter(([quota, limit]) => differ(before.get(quota), limit));
      if (changed.length === 0) continue;
      const quotas = changed.map(([quota, { tokens, perMs, burst }]) => ({ quota, tokens, perMs, burst }));
      this.log.info({ service: key, quotas: quotas.map(({ quota }) => quota) }, 'quotas have other numbers');
      this.tell(key, quotas);
      this.store.announce(key, quotas);
    }
  }

  close(): void {
    clearInterval(this.timer);
    for (const quotas of this.open.keys()) quotas.bye();
  }

  private onAnnounced(service: ServiceKey, quotas: readonly AnnouncedQuota[]): void {
    const known = this.services.get(service);
    if (known === undefined) return;
    const news = quotas.filter((one) => {
      const limit = this.limits(known).get(one.quota);
      // Its name says the time that a quota is of: with another it would be another quota.
      return limit !== undefined && limit.perMs === one.perMs && differ(limit, one);
    });
    if (news.length === 0) return;
    const others = known.announced?.quotas.filter(({ quota }) => !news.some((one) => one.quota === quota));
    known.announced = { quotas: [...(others ?? []), ...news], untilMs: performance.now() + ANNOUNCED_MS };
    this.tell(service, news);
  }

  private tell(service: ServiceKey, quotas: readonly AnnouncedQuota[]): void {
    for (const stream of this.open.keys())
      if (stream.services.has(service)) for (const one of quotas) stream.tell(one.quota, one);
  }

  private limitsFor(
    service: ServiceKey,
    peer: string,
    gateway: string | undefined,
  ): ReadonlyMap<string, RateLimit> | string {
    // Strangers are not told which services there are.
    const refusal = `${peer} does not stand beside ${service}, nor is it a gateway to it`;
    const asked = `${peer} ${gateway ?? ''} ${service}`;
    const nowMs = performance.now();
    if (nowMs < (this.refused.get(asked) ?? 0)) return refusal;
    const resource = this.registry.get('service', service);
    if (resource?.kind === 'service' && this.mayDraw(resource, peer, gateway)) {
      const known = this.services.get(service);
      return known === undefined ? limitsOf(resource) : withRetired(this.limits(known), known);
    }
    if (this.refused.size >= MAX_REFUSED) this.refused.clear();
    this.refused.set(asked, nowMs + REFUSED_MS);
    return refusal;
  }

  private mayDraw(service: ServiceResource, peer: string, gateway: string | undefined): boolean {
    if (standsBeside(service, peer)) return true;
    const through = gateway === undefined ? undefined : this.registry.get('gateway', gateway, peer);
    return through?.kind === 'gateway' && sendsTo(through, service.key, peer);
  }

  private limits(known: KnownService): ReadonlyMap<string, RateLimit> {
    const { limits, announced } = known;
    if (announced === undefined) return limits;
    if (announced.untilMs < performance.now()) {
      known.announced = undefined;
      return limits;
    }
    const numbers = new Map(announced.quotas.map((one) => [one.quota, one]));
    return new Map(
      [...limits].map(([quota, limit]) => {
        const { tokens, perMs, burst } = numbers.get(quota) ?? limit;
        return [quota, { ...limit, tokens, perMs, burst }];
      }),
    );
  }

  private registered(service: ServiceKey): ReadonlyMap<string, RateLimit> {
    const resource = this.registry.get('service', service);
    return resource?.kind === 'service' ? limitsOf(resource) : new Map();
  }

  private join(service: ServiceKey): void {
    const known = this.services.get(service);
    if (known !== undefined) {
      known.streams++;
      return;
    }
    this.registry.follow?.('service', service);
    this.services.set(service, {
      limits: this.registered(service),
      announced: undefined,
      retired: undefined,
      streams: 1,
    });
  }

  private leave(service: ServiceKey): void {
    const known = this.services.get(service);
    if (known === undefined || --known.streams > 0) return;
    this.services.delete(service);
    this.registry.unfollow?.('service', service);
  }

  /** Notes which sidecars are there: their own clocks, or whether they draw, do not matter. */
  private keepContact(): void {
    const nowMs = performance.now();
    const present = new Map<ServiceKey, QuotaMember[]>();
    for (const [stream, session] of this.open) {
      const { member: name, services, told } = stream;
      if (session === undefined || session.destroyed) continue;
      const contact = this.contactOf(session, nowMs);
      if (!contact.pinged) {
        contact.pinged = true;
        session.ping(() => {
          contact.pinged = false;
          contact.answeredMs = performance.now();
        });
      }
      if (nowMs - contact.answeredMs > ANSWER_MS) continue;
      for (const service of services) {
        if (stream.isSharing(service, nowMs)) continue;
        const members = present.get(service);
        const member = { name, told: told.get(service) ?? 0 };
        if (members === undefined) present.set(service, [member]);
        else members.push(member);
      }
    }
    for (const [service, members] of present) this.store.contact(service, members);
  }

  private contactOf(session: Http2Session, nowMs: number): Contact {
    let contact = this.contacts.get(session);
    if (contact === undefined) {
      contact = { pinged: false, answeredMs: nowMs };
      this.contacts.set(session, contact);
    }
    return contact;
  }
}

/** Refused, a sidecar would take the store to be away, and refuse requests itself until it has heard. */
function withRetired(
  limits: ReadonlyMap<string, RateLimit>,
  { retired }: KnownService,
): ReadonlyMap<string, RateLimit> {
  if (retired === undefined || retired.untilMs < performance.now()) return limits;
  return new Map([...retired.limits, ...limits]);
}

function differ(
  before: Pick<RateLimit, 'tokens' | 'perMs' | 'burst'> | undefined,
  after: Pick<RateLimit, 'tokens' | 'perMs' | 'burst'>,
): boolean {
  return (
    before !== undefined &&
    (before.tokens !== after.tokens || before.perMs !== after.perMs || before.burst !== after.burst)
  );
}
