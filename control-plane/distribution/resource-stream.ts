import type { ServerHttp2Stream } from 'node:http2';
import {
  type ClientMessage,
  clientMessageSchema,
  MAX_LINE_BYTES,
  PROTOCOL_VERSION,
  type ServerMessage,
} from '../../protocol/control-messages.ts';
import { lineReader } from '../../protocol/line-reader.ts';
import type { ResourceKind } from '../../protocol/resources.ts';
import type { Log } from '../log.ts';
import type { Change, Registry } from '../registry/file-registry.ts';

const MAX_SUBSCRIPTIONS = 20_000;

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
  private readonly subscribed = new Set<string>();
  /** What is to be told, with the version that the sidecar knows already. */
  private readonly waiting = new Map<string, string | undefined>();
  private blocked = false;

  constructor(stream: ServerHttp2Stream, registry: Registry, peer: string, log: Log) {
    this.stream = stream;
    this.registry = registry;
    this.peer = peer;
    this.log = log;
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    const read = lineReader(
      MAX_LINE_BYTES,
      (line) => this.onLine(line),
      () => this.refuse(`a line is longer than ${MAX_LINE_BYTES} bytes`),
    );
    stream.on('data', read);
    stream.on('end', () => stream.end());
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
      for (const { kind, key } of message.resources) {
        this.subscribed.delete(`${kind} ${key}`);
        this.waiting.delete(`${kind} ${key}`);
      }
      return;
    }
    for (const { kind, key, version } of message.resources) {
      if (this.subscribed.size >= MAX_SUBSCRIPTIONS) {
        this.refuse(`more than ${MAX_SUBSCRIPTIONS} subscriptions`);
        return;
      }
      this.subscribed.add(`${kind} ${key}`);
      this.waiting.set(`${kind} ${key}`, version);
    }
    this.flush();
  }

  private flush(): void {
    for (const [id, known] of this.waiting) {
      if (this.blocked) return;
      this.waiting.delete(id);
      const [kind, key] = id.split(' ', 2) as [ResourceKind, string]; // as it was joined above
      const resource = this.registry.get(kind, key);
      if (resource === undefined) this.write({ type: 'absent', kind, key });
      // Resume: what the sidecar knows already is not sent again.
      else if (resource.version === known) this.write({ type: 'unchanged', kind, key, version: known });
      else this.write({ type: 'resource', resource });
    }
  }

  private write(message: ServerMessage): void {
    if (this.stream.destroyed || this.stream.writableEnded) return;
    if (!this.stream.write(`${JSON.stringify(message)}\n`)) this.blocked = true;
  }

  private refuse(reason: string): void {
    this.log.warn({ peer: this.peer, reason }, 'a stream was ended');
    this.bye(reason);
    this.stream.close();
  }
}
