import type { Socket } from 'node:net';

/** Copies two sockets into each other until both ends are done; half-close and backpressure kept. */
export function splice(client: Socket, upstream: Socket, onEnd: () => void): void {
  let open = 2;
  const closed = (one: Socket, other: Socket) => () => {
    // What one sent before its end may still be on its way out of the other.
    if (one.readableEnded) other.destroySoon();
    else other.destroy();
    if (--open === 0) onEnd();
  };
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.once('close', closed(client, upstream));
  upstream.once('close', closed(upstream, client));
  client.pipe(upstream);
  upstream.pipe(client);
}
