import { randomUUID } from 'node:crypto';
import { type ClientHttp2Session, connect } from 'node:http2';
import type { Authority } from '../../control-plane/authority/authority.ts';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { SILENT } from '../../sidecar/log.ts';
import type { Quota } from '../../sidecar/quotas/account.ts';
import { type ControlSessions, openQuotaLink } from '../../sidecar/quotas/control-plane-link.ts';
import { ADMITTED, decide, WAITS } from '../../sidecar/quotas/decide.ts';
import { DrawnQuotas } from '../../sidecar/quotas/drawn-quotas.ts';
import type { QuotaLink } from '../../sidecar/quotas/quota-link.ts';
import { Waiter } from '../../sidecar/quotas/waiter.ts';

const RECONNECT_MS = 100;
const PING_MS = 1_000;
/** Of so many decisions one is timed. */
const TIMED = 16;

/** Told of what becomes of requests; times by `performance.now()`, in ms. */
export interface Observer {
  decided(admitted: boolean, nowMs: number): void;
  /** One had to wait so long for the store. */
  waited(ms: number): void;
  /** A decision that needed no waiting took so long, in us; a sample. */
  took(us: number): void;
  /** The sidecar was told that its quota has other numbers. */
  changed(nowMs: number): void;
}

export interface Proof {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** What a sidecar of `workload` proves itself by. */
export async function proofOf(authority: Authority, workload: string): Promise<Proof> {
  const { keyPem, csrPem } = createCertificateRequest();
  const { chain, bundle } = await authority.issue(csrPem, workload);
  return { key: keyPem, cert: chain, ca: bundle };
}

/** The quota part of a sidecar: the real one, without a proxy around it. */
export class QuotaSidecar {
  admitted = 0;
  private due = 0;
  private decisions = 0;
  private readonly quotas: DrawnQuotas;
  private readonly quota: Quota;
  private readonly observer: Observer;
  private readonly sessions: Sessions;

  constructor(
    addresses: readonly string[],
    first: number,
    proof: Proof,
    service: string,
    limit: RateLimit,
    observer: Observer,
  ) {
    this.observer = observer;
    this.sessions = new Sessions(addresses, first, proof);
    this.quotas = new DrawnQuotas(() =>
      observed(openQuotaLink(this.sessions, { node: randomUUID() }, SILENT), () =>
        observer.changed(performance.now()),
      ),
    );
    const [quota] = this.quotas.quotasOf(service, [limit]);
    if (quota === undefined) throw new Error('no quota');
    this.quota = quota;
  }

  /** Has the requests come that are due: `count`, which may be a part of one. */
  come(count: number): void {
    this.due += count;
    for (; this.due >= 1; this.due--) this.request();
  }

  private request(): void {
    const { observer } = this;
    const sinceMs = performance.now();
    const accounts = [this.quota.account('', sinceMs)];
    const verdict = decide(accounts, sinceMs);
    if (verdict === WAITS) {
      const waiter = new Waiter(accounts, sinceMs, (refusedBy, atMs) => {
        observer.waited(performance.now() - sinceMs);
        this.decided(refusedBy === undefined, atMs);
      });
      waiter.wake(sinceMs);
      return;
    }
    if (this.decisions++ % TIMED === 0) observer.took((performance.now() - sinceMs) * 1000);
    this.decided(verdict === ADMITTED, sinceMs);
  }

  private decided(admitted: boolean, nowMs: number): void {
    if (admitted) this.admitted++;
    this.observer.decided(admitted, nowMs);
  }

  close(): void {
    this.quotas.close();
    this.sessions.close();
  }
}

/** A link that tells when it is told of other numbers. */
function observed(link: QuotaLink, changed: () => void): QuotaLink {
  return {
    get open() {
      return link.open;
    },
    send: (request) => link.send(request),
    onChange: (listener) => link.onChange(listener),
    onReply: (listener) =>
      link.onReply((reply) => {
        if (reply.type === 'changed') changed();
        listener(reply);
      }),
    close: () => link.close(),
  };
}

/** Sessions to one control plane after the other. */
class Sessions implements ControlSessions {
  private readonly addresses: readonly string[];
  private at: number;
  private readonly proof: Proof;
  private listener: (session: ClientHttp2Session | undefined) => void = () => {};
  private session: ClientHttp2Session | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;
  private closed = false;

  constructor(addresses: readonly string[], first: number, proof: Proof) {
    this.addresses = addresses;
    this.at = first;
    this.proof = proof;
  }

  onSession(listener: (session: ClientHttp2Session | undefined) => void): void {
    this.listener = listener;
    this.connect();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.session?.destroy();
  }

  private connect(): void {
    const address = this.addresses[this.at++ % this.addresses.length] ?? '';
    const session = connect(`https://${address}`, { ...this.proof, checkServerIdentity: () => undefined });
    this.session = session;
    let answered = true;
    const pings = setInterval(() => {
      if (!answered) session.destroy();
      else if (!session.destroyed && !session.connecting) {
        answered = false;
        session.ping(() => (answered = true));
      }
    }, PING_MS);
    session.on('error', () => {});
    session.on('connect', () => this.listener(session));
    session.on('close', () => {
      clearInterval(pings);
      this.listener(undefined);
      if (!this.closed) this.timer = setTimeout(() => this.connect(), RECONNECT_MS);
    });
  }
}
