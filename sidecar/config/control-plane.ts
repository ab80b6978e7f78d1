import { randomUUID } from 'node:crypto';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { ClientMessage, ServerMessage } from '../../protocol/control-messages.ts';
import { lineReader } from '../../protocol/line-reader.ts';
import type { Resource, ResourceKind } from '../../protocol/resources.ts';
import { VERSION } from '../../protocol/version.ts';
import { leaveSilent, openControlSession } from '../identity/control-session.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import type { Log } from '../log.ts';
import type { Subscription, SubscriptionState } from './subscription.ts';

const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 5_000;
/** A connection that lasted so long was a good one. */
const SETTLED_MS = 1_000;
const MAX_LINE = 4 * 1024 * 1024;
/**
 * When something is asked for the first time, a control plane that does not answer a ping for so long is left for the
 * next one, in ms: requests wait for its first word, and no longer than three seconds. Twice as long after each time
 * that one was left so: those that have much to do must not get all their sidecars anew.
 */
const FIRST_PATIENCE_MS = 1_000;
const LAST_PATIENCE_MS = 5_000;
/** A control plane refuses a message of more than 10 000. */
const MAX_RESOURCES = 5_000;
const WIRE_VERSION = 1;

export interface SubscriptionOptions {
  /** HOST:PORT of control planes; the next one is tried when one is away. */
  readonly controlPlane: readonly string[];
  readonly identity: IdentitySource;
  /** `namespace/name`. */
  readonly workload: string;
  readonly log: Log;
}

/** The sessions in which resources are followed: others may have streams of their own in them. */
export interface SubscriptionSessions {
  /** `listener` gets each session when it is connected, the current one at once, and undefined when it is no longer to be used. */
  onSession(listener: (session: ClientHttp2Session | undefined) => void): void;
}

/** Follows resources at a control plane. While none answers, all that was told stays in force. */
export function connectSubscription(options: SubscriptionOptions): Subscription & SubscriptionSessions {
  return new ControlPlaneSubscription(options);
}

class ControlPlaneSubscription implements Subscription, SubscriptionSessions {
  private readonly options: SubscriptionOptions;
  private readonly node = { id: randomUUID(), version: VERSION };
  private readonly resourceListeners: ((resource: Resource) => void)[] = [];
  private readonly absentListeners: ((kind: ResourceKind, key: string) => void)[] = [];
  private readonly sessionListeners: ((session: ClientHttp2Session | undefined) => void)[] = [];
  /** All that is followed, with the version known; '' before the first word. */
  private readonly versions = new Map<string, string>();
  private session: ClientHttp2Session | undefined = undefined;
  private stream: ClientHttp2Stream | undefined = undefined;
  private connected = false;
  /** The control plane said bye. */
  private sentAway = false;
  private since = Date.now();
  private lastError: string | undefined = undefined;
  private endpoint: string | undefined = undefined;
  private trustDomain = 'unknown';
  private failures = 0;
  private patienceMs = FIRST_PATIENCE_MS;
  /** A ping of the session is under way, and not of its regular ones. */
  private pinged: ClientHttp2Session | undefined = undefined;
  private turn = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private closed = false;
  private readonly stopListening: () => void;

  constructor(options: SubscriptionOptions) {
    this.options = options;
    // Without a certificate there is nobody to be: the first one starts the first connection. Who gets a new one
    // while all were away knows that one is back.
    this.stopListening = options.identity.onChange(() => {
      if (this.session !== undefined) return;
      clearTimeout(this.timer);
      this.timer = undefined;
      this.failures = 0;
      this.connect();
    });
    if (options.identity.current() !== undefined) this.connect();
  }

  want(kind: ResourceKind, key: string): void {
    const id = `${kind} ${key}`;
    if (this.versions.has(id)) return;
    this.versions.set(id, '');
    this.send({ type: 'subscribe', resources: [{ kind, key }] });
    this.expectWord();
  }

  drop(kind: ResourceKind, key: string): void {
    if (this.versions.delete(`${kind} ${key}`))
      this.send({ type: 'unsubscribe', resources: [{ kind, key }] });
  }

  onResource(listener: (resource: Resource) => void): void {
    this.resourceListeners.push(listener);
  }

  onAbsent(listener: (kind: ResourceKind, key: string) => void): void {
    this.absentListeners.push(listener);
  }

  onSession(listener: (session: ClientHttp2Session | undefined) => void): void {
    this.sessionListeners.push(listener);
    if (this.stream !== undefined) listener(this.session);
  }

  state(): SubscriptionState {
    const { connected, since, trustDomain, endpoint } = this;
    const { identity } = this.options;
    // Without a certificate there is no connection that could fail.
    const lastError = this.lastError ?? (identity.current() === undefined ? identity.lastError() : undefined);
    return {
      connected,
      since,
      trustDomain,
      ...(lastError !== undefined && { lastError }),
      ...(endpoint !== undefined && { endpoint }),
    };
  }

  close(): void {
    this.closed = true;
    this.stopListening();
    clearTimeout(this.timer);
    this.session?.destroy();
  }

  private connect(): void {
    const { controlPlane, identity } = this.options;
    const current = identity.current();
    if (this.closed || current === undefined) return;
    const address = controlPlane[this.turn++ % controlPlane.length] ?? '';
    this.endpoint = address;
    const session = openControlSession(address, current.bundlePem, current);
    this.session = session;
    session.on('error', (error) => {
      this.lastError = `${address}: ${error.message}`;
    });
    session.on('close', () => this.onClosed(session, address));
    session.on('connect', () => this.openStream(session, current));
  }

  private openStream(session: ClientHttp2Session, identity: Identity): void {
    const stream = session.request(
      { ':method': 'POST', ':path': '/v1/resources', 'content-type': 'application/x-ndjson' },
      { endStream: false },
    );
    this.stream = stream;
    this.trustDomain = identity.trustDomain;
    stream.on('error', (error) => {
      this.lastError = error.message;
    });
    stream.on('response', (headers) => {
      if (headers[':status'] === 200) return;
      this.lastError = `the control plane refused the stream with status ${headers[':status']}`;
      session.destroy();
    });
    stream.on(
      'data',
      lineReader(
        MAX_LINE,
        (line) => this.onLine(line),
        () => session.destroy(),
      ),
    );
    stream.on('close', () => {
      if (this.session === session) this.tellSession(undefined); // it ends when all its streams have
      session.close();
    });
    this.send({
      type: 'hello',
      version: WIRE_VERSION,
      node: { ...this.node, workload: this.options.workload },
    });
    const resources = [...this.versions].map(([id, version]) => {
      const [kind, key] = id.split(' ', 2) as [ResourceKind, string]; // as want() joined them
      return { kind, key, ...(version !== '' && { version }) };
    });
    for (let from = 0; from < resources.length; from += MAX_RESOURCES)
      this.send({ type: 'subscribe', resources: resources.slice(from, from + MAX_RESOURCES) });
    if (resources.some(({ version }) => version === undefined)) this.expectWord();
    this.tellSession(session);
  }

  /** Leaves a control plane that shows no sign of life, much sooner than the pings of its session would. */
  private expectWord(): void {
    const { session } = this;
    if (this.stream === undefined || session === undefined || session.destroyed || this.pinged === session)
      return;
    this.pinged = session;
    const timer = setTimeout(() => {
      this.patienceMs = Math.min(LAST_PATIENCE_MS, this.patienceMs * 2);
      leaveSilent(session);
    }, this.patienceMs);
    session.ping((error) => {
      clearTimeout(timer);
      if (this.pinged === session) this.pinged = undefined;
      if (error === null) this.patienceMs = FIRST_PATIENCE_MS;
    });
  }

  private tellSession(session: ClientHttp2Session | undefined): void {
    for (const listener of this.sessionListeners) listener(session);
  }

  private send(message: ClientMessage): void {
    if (this.stream !== undefined && !this.stream.destroyed && this.stream.writable)
      this.stream.write(`${JSON.stringify(message)}\n`);
  }

  private onLine(line: string): void {
    try {
      this.onMessage(JSON.parse(line) as ServerMessage); // by mTLS it is the control plane, whose types these are
    } catch (error) {
      this.lastError = `a message of the control plane could not be used: ${withoutText(error)}`;
      this.options.log.error(
        { error: this.lastError },
        'the control plane sent what this version does not understand',
      );
    }
  }

  private onMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        this.connected = true;
        this.since = Date.now();
        this.lastError = undefined;
        this.options.log.info({ controlPlane: this.endpoint }, 'connected to a control plane');
        return;
      case 'resource': {
        const { kind, key, version } = message.resource;
        if (!this.versions.has(`${kind} ${key}`)) return;
        this.versions.set(`${kind} ${key}`, version);
        for (const listener of this.resourceListeners) listener(message.resource);
        return;
      }
      case 'absent':
        if (!this.versions.has(`${message.kind} ${message.key}`)) return;
        this.versions.set(`${message.kind} ${message.key}`, '');
        for (const listener of this.absentListeners) listener(message.kind as ResourceKind, message.key); // as it was asked for
        return;
      case 'bye':
        this.lastError = message.reason;
        this.sentAway = true;
        this.tellSession(undefined);
        this.stream?.end(); // a session closes when its streams have ended on both sides
        this.session?.close();
        return;
      default:
        return; // unchanged; and what a newer control plane may say
    }
  }

  private onClosed(session: ClientHttp2Session, address: string): void {
    if (this.session !== session) return;
    this.session = undefined;
    this.stream = undefined;
    this.tellSession(undefined);
    this.tellClosed(address);
    // One that lets in and sends away again at once must not be asked faster and faster.
    if (this.connected && Date.now() - this.since >= SETTLED_MS) this.failures = 0;
    this.connected = false;
    this.sentAway = false;
    this.since = Date.now();
    if (this.closed) return;
    const backoff = Math.random() * Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.failures++);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.connect();
    }, backoff);
  }

  private tellClosed(controlPlane: string): void {
    if (!this.connected) return;
    const details = { controlPlane, reason: this.lastError ?? 'closed' };
    if (this.sentAway) this.options.log.info(details, 'the control plane sends elsewhere');
    else this.options.log.warn(details, 'the control plane is away: running on the last known state');
  }
}

/** V8 quotes what is not JSON, and a message may hold the private key of a listener. */
function withoutText(error: unknown): string {
  if (error instanceof SyntaxError) return 'it is not JSON';
  return error instanceof Error ? error.message : String(error);
}
