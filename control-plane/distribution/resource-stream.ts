import type { ServerHttp2Stream } from 'node:http2';
import {
  type ClientMessage,
  clientMessageSchema,
  MAX_LINE_BYTES,
  PROTOCOL_VERSION,
  type ServerMessage,
} from '../../protocol/control-messages.ts';
import { lineReader } from '../../protocol/line-reader.ts';
import { isResourceKind, mayBeTold } from '../../protocol/resources.ts';
import type { Log } from '../log.ts';
import type { Change, Registry } from '../registry/registry.ts';
import type { Allowance } from './allowances.ts';

const MAX_SUBSCRIPTIONS = 20_000;
/** What a subscription takes besides its name, in bytes. */
const SUBSCRIPTION_BYTES = 500;
const LEAVE_MS = 5_000;

/**
 * One sidecar's stream: it says what it uses, gets a snapshot of each and then its changes. A sidecar
 * that reads slowly gets the newest state of each resource, not every state there was: what waits for
 * it is names and versions, never a queue of messages.
 */
export class ResourceStream {
  private readonly stream: ServerHttp2Stream;
  private readonly registry: Registry;
  private readonly log: Log;
  private readonly peer: string;
  private readonly allowance: Allowance;
  /** With the version that was told: '' for one that is absent, undefined before the first word. */
  private readonly subscribed = new Map<string, string | undefined>();
  /** What is to be told, with the version that the sidecar says that it knows already. */
  private readonly waiting = new Map<string, string | undefined>();
  private blocked = false;

  /** `allowance`: what the subscriptions of this stream and of others may take together. */
  constructor(stream: ServerHttp2Stream, registry: Registry, peer: string, allowance: Allowance, log: Log) {
    this.stream = stream;
    this.registry = registry;
    this.peer = peer;
    this.allowance = allowance;
    this.log = log;
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    const read = lineReader(
      MAX_LINE_BYTES,
      (line) => this.onLine(line),
      () => this.refuse(`a line is longer than ${MAX_LINE_BYTES} bytes`),
    );
    stream.on('data', read);
    stream.on('end', () => stream.end());
    stream.on('close', () => {
      for (const id of this.subscribed.keys()) this.forget(id);
    });
    stream.on('drain', () => {
      this.blocked = false;
      this.flush();
    });
    this.write({
      type: 'welcome',
      version: PROTOCOL_VERSION,
      trustDomain: registry.trustDomain,
      server: `${process.pid}`,
    });
  }

  /** Takes note of changes that concern this sidecar. */
  onChanges(changes: readonly Change[]): void {
    for (const { kind, key } of changes) {
      const id = `${kind} ${key}`;
      if (this.subscribed.has(id) && !this.waiting.has(id)) this.waiting.set(id, undefined);
    }
    this.flush();
  }

  /** Tells the sidecar to go to another replica. */
  bye(reason: string): void {
    if (this.stream.closed || this.stream.destroyed) return;
    this.write({ type: 'bye', reason });
    this.stream.end();
    // Who is told to go and stays holds nothing for long.
    const force = setTimeout(() => this.stream.close(), LEAVE_MS).unref();
    this.stream.once('close', () => clearTimeout(force));
  }

  private onLine(line: string): void {
    if (this.stream.writableEnded) return; // it was told bye
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      this.refuse('a line is not JSON');
      return;
    }
    const message = clientMessageSchema.safeParse(value);
    if (message.success) this.onMessage(message.data);
    else this.refuse(`a message is not understood: ${message.error.issues[0]?.message ?? ''}`);
  }

  private onMessage(message: ClientMessage): void {
    if (message.type === 'hello') {
      this.log.debug({ peer: this.peer, node: message.node.id }, 'a sidecar is connected');
      return;
    }
    if (message.type === 'unsubscribe') {
      for (const { kind, key } of message.resources) this.forget(`${kind} ${key}`);
      return;
    }
    for (const { kind, key, version } of message.resources) {
      if (this.subscribed.size >= MAX_SUBSCRIPTIONS) {
        this.refuse(`more than ${MAX_SUBSCRIPTIONS} subscriptions`);
        return;
      }
      const id = `${kind} ${key}`;
      if (!this.subscribed.has(id) && !this.allowance.take(bytesOf(id))) {
        this.refuse('the sidecars of this namespace follow more than there is room for');
        return;
      }
      if (!this.subscribed.has(id) && isResourceKind(kind)) this.registry.follow?.(kind, key);
      this.subscribed.set(id, undefined);
      this.waiting.set(id, version);
    }
    this.flush();
  }

  private forget(id: string): void {
    this.waiting.delete(id);
    const [kind, key] = namesIn(id);
    if (!this.subscribed.delete(id)) return;
    this.allowance.giveBack(bytesOf(id));
    if (isResourceKind(kind)) this.registry.unfollow?.(kind, key);
  }

  private flush(): void {
    for (const [id, known] of this.waiting) {
      if (this.blocked) return;
      this.waiting.delete(id);
      const [kind, key] = namesIn(id);
      const found = isResourceKind(kind) ? this.registry.get(kind, key, this.peer) : undefined;
      const resource = found !== undefined && mayBeTold(found, this.peer) ? found : undefined;
      const version = resource?.version ?? '';
      const before = this.subscribed.get(id);
      // What changed for others is not news for this one.
      if (before === version) continue;
      this.subscribed.set(id, version);
      if (resource === undefined) this.write({ type: 'absent', kind, key });
      // Resume: what the sidecar knows already is not sent again.
      else if (resource.version === known)
        this.write({ type: 'unchanged', kind: resource.kind, key, version: known });
      else if (!this.write({ type: 'resource', resource })) this.tooLarge(kind, key, before);
    }
  }

  /** A sidecar would end its stream at such a line, and never hear of anything else: what it knew of this one stays. */
  private tooLarge(kind: string, key: string, before: string | undefined): void {
    const { peer } = this;
    this.log.warn({ peer, kind, key }, `a resource has more than ${MAX_LINE_BYTES} bytes and is not told`);
    if (before === undefined) this.write({ type: 'absent', kind, key });
  }

  /** false: it is longer than a sidecar reads. */
  private write(message: ServerMessage): boolean {
    if (this.stream.destroyed || this.stream.writableEnded) return true;
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    if (line.length > MAX_LINE_BYTES) return false;
    if (!this.stream.write(line)) this.blocked = true;
    return true;
  }

  private refuse(reason: string): void {
    this.log.warn({ peer: this.peer, reason }, 'a stream was ended');
    this.bye(reason);
    this.stream.close();
  }
}

function bytesOf(id: string): number {
  return id.length + SUBSCRIPTION_BYTES;
}

/** Kind and key, as they were joined for the maps. */
function namesIn(id: string): [kind: string, key: string] {
  return id.split(' ', 2) as [string, string]; // no kind has a space
}
