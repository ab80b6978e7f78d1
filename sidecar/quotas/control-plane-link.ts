import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { lineReader } from '../../protocol/line-reader.ts';
import {
  type DrawRequest,
  GATEWAY_HEADER,
  NODE_HEADER,
  QUOTA_PATH,
  type QuotaReply,
  type QuotaRequest,
} from '../../protocol/quotas/messages.ts';
import type { Log } from '../log.ts';
import type { QuotaLink } from './quota-link.ts';

const MAX_LINE = 1024 * 1024;
/** A stream that ended while its session goes on is opened again after this, in ms. */
const REOPEN_MS = 250;

/** Sessions to control planes, one after the other. */
export interface ControlSessions {
  /** `listener` gets each session when it is connected, the current one at once, and undefined when it is no longer to be used. */
  onSession(listener: (session: ClientHttp2Session | undefined) => void): void;
}

/** Who draws. */
export interface QuotaNode {
  /** As in node-name.ts. */
  readonly node: string;
  /** `namespace/name` of the Gateway whose proxy this is. */
  readonly gatewayName?: string | undefined;
}

/** Draws over a stream of its own beside that of resources, in the same session. */
export function openQuotaLink(sessions: ControlSessions, node: QuotaNode, log: Log): QuotaLink {
  return new ControlPlaneLink(sessions, node, log);
}

class ControlPlaneLink implements QuotaLink {
  open = false;
  private readonly headers: OutgoingHttpHeaders;
  private readonly log: Log;
  private session: ClientHttp2Session | undefined = undefined;
  private stream: ClientHttp2Stream | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;
  private onReplyCall: (reply: QuotaReply) => void = () => {};
  private onChangeCall: () => void = () => {};
  private closed = false;

  constructor(sessions: ControlSessions, { node, gatewayName }: QuotaNode, log: Log) {
    this.headers = {
      ':method': 'POST',
      ':path': QUOTA_PATH,
      'content-type': 'application/x-ndjson',
      // Who comes back is not one more.
      [NODE_HEADER]: node,
      ...(gatewayName !== undefined && { [GATEWAY_HEADER]: gatewayName }),
    };
    this.log = log;
    sessions.onSession((session) => this.useSession(session));
  }

  send(request: DrawRequest): void {
    this.write(request);
  }

  private write(request: QuotaRequest): void {
    if (this.open) this.stream?.write(`${JSON.stringify(request)}\n`);
  }

  onReply(listener: (reply: QuotaReply) => void): void {
    this.onReplyCall = listener;
  }

  onChange(listener: () => void): void {
    this.onChangeCall = listener;
  }

  /** In order: what was given back on the way is still read. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.write({ type: 'leave' });
    this.stream?.end();
    this.setOpen(false);
  }

  private useSession(session: ClientHttp2Session | undefined): void {
    clearTimeout(this.timer);
    this.session = session;
    const { stream } = this;
    this.stream = undefined;
    stream?.end(); // a session ends when its streams have
    this.setOpen(false);
    if (session !== undefined && !this.closed) this.openStream(session);
  }

  private openStream(session: ClientHttp2Session): void {
    if (session.destroyed || session.closed) return;
    const stream = session.request(this.headers, { endStream: false });
    this.stream = stream;
    let refused = '';
    stream.on('error', (error) => {
      refused = error.message;
    });
    stream.on('response', (headers) => {
      if (this.stream !== stream) return;
      if (headers[':status'] === 200) this.setOpen(true);
      else {
        refused = `status ${headers[':status']}`;
        stream.close();
      }
    });
    stream.on(
      'data',
      lineReader(
        MAX_LINE,
        (line) => this.onLine(line, stream),
        () => stream.close(),
      ),
    );
    stream.on('close', () => this.onStreamClosed(stream, refused));
  }

  private onLine(line: string, stream: ClientHttp2Stream): void {
    if (this.stream !== stream) return;
    try {
      this.onReplyCall(JSON.parse(line) as QuotaReply); // by mTLS it is the control plane, whose types these are
    } catch (error) {
      this.log.error(
        { error: error instanceof Error ? error.message : String(error) },
        'the control plane sent about quotas what this version does not understand',
      );
    }
  }

  private onStreamClosed(stream: ClientHttp2Stream, refused: string): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    const wasOpen = this.open;
    this.setOpen(false);
    const { session } = this;
    if (this.closed || session === undefined || session.destroyed) return;
    if (!wasOpen) this.log.warn({ reason: refused || 'closed' }, 'the control plane serves no quotas');
    this.timer = setTimeout(() => this.openStream(session), REOPEN_MS).unref();
  }

  private setOpen(open: boolean): void {
    if (this.open === open) return;
    this.open = open;
    this.onChangeCall();
  }
}
