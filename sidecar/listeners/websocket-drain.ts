import type { Downstream } from '../http/downstream.ts';
import type { Upstream } from '../http/upstream.ts';
import { GOING_AWAY, WebSocketFrames } from '../tcp/websocket-frames.ts';

/**
 * Follows what a client sends through a WebSocket, so that the server can be told between two frames that this proxy
 * goes, as by its client; its answer tells the client.
 */
export class WebSocketDrain {
  private readonly frames = new WebSocketFrames();
  private goingAway = false;
  private said = false;

  /** This proxy goes. */
  drain(upstream: Upstream | undefined): void {
    this.goingAway = true;
    if (this.frames.between) this.sayGoingAway(upstream);
  }

  forward(
    downstream: Downstream,
    upstream: Upstream | undefined,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const boundary = this.frames.follow(bytes, start, end);
    if (this.said) return; // Nothing follows a Close frame.
    const leaves = this.goingAway && boundary >= 0;
    const ready = upstream?.requestData(downstream.transport, bytes, start, leaves ? boundary : end);
    if (leaves) this.sayGoingAway(upstream);
    else if (ready === false) downstream.pauseRequest();
  }

  private sayGoingAway(upstream: Upstream | undefined): void {
    this.said = true;
    upstream?.requestData(undefined, GOING_AWAY, 0, GOING_AWAY.length);
    upstream?.flush();
  }
}
