import type { Socket } from 'node:net';
import type { Log } from '../log.ts';
import type { InboundListener, InboundWorkload } from './inbound-listener.ts';
import { addressOf } from './opaque-relay.ts';
import type { OriginalDestination } from './original-destination.ts';
import type { IpPort } from './socket-address.ts';

/** A port of the pod, as long as somebody calls it. */
export interface CapturedPort extends InboundWorkload {
  /** Nothing is under way to it. */
  readonly idle: boolean;
  close(): void;
}

export interface CapturedInboundParts {
  readonly listener: InboundListener;
  readonly originalDestination: OriginalDestination;
  /** The pod's own. */
  readonly podIps: ReadonlySet<string>;
  readonly log: Log;
  /** Whether somebody called the sidecar itself. */
  isSelf(meant: IpPort): boolean;
  /** What serves connections to a port of one of the pod's addresses. */
  open(host: string, port: number): CapturedPort;
}

/** Callers choose ports: no more than so many are kept ready. */
const MAX_PORTS = 256;

/** Takes calls to the pod, which its rules redirect here, by the port to which they were made. */
export class CapturedInbound {
  private readonly parts: CapturedInboundParts;
  private readonly ports = new Map<string, CapturedPort>();

  constructor(parts: CapturedInboundParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { originalDestination, isSelf, podIps, listener } = this.parts;
    const meant = originalDestination(socket);
    if (meant === undefined || isSelf(meant))
      this.refuse(socket, 'it was made to the sidecar itself, and not redirected to it');
    // The sidecar must not become a way to anywhere else.
    else if (!podIps.has(meant.host)) this.refuse(socket, `${meant.host} is no address of this pod`);
    else {
      const port = this.portAt(meant.host, meant.port);
      if (port === undefined) this.refuse(socket, `more than ${MAX_PORTS} ports of the pod are in use`);
      else listener.onSocket(socket, port);
    }
  }

  private portAt(host: string, port: number): CapturedPort | undefined {
    const key = addressOf(host, port);
    const known = this.ports.get(key);
    if (known !== undefined) return known;
    if (this.ports.size >= MAX_PORTS && !this.dropIdle()) return undefined;
    const opened = this.parts.open(host, port);
    this.ports.set(key, opened);
    return opened;
  }

  private dropIdle(): boolean {
    for (const [key, port] of this.ports) {
      if (!port.idle) continue;
      this.ports.delete(key);
      port.close();
      return true;
    }
    return false;
  }

  private refuse(socket: Socket, detail: string): void {
    const peer = addressOf(socket.remoteAddress, socket.remotePort);
    this.parts.log.warn({ listener: 'inbound', peer, detail }, 'a connection was refused');
    socket.resetAndDestroy();
  }

  close(): void {
    for (const port of this.ports.values()) port.close();
    this.ports.clear();
  }
}
