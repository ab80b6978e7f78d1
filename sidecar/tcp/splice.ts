import type { Socket } from 'node:net';

/** Copies two sockets into each other until both ends are done; half-close and backpressure kept. */
export function splice(client: Socket, upstream: Socket, onEnd: () => void): void {
  let open = 2;
  const closed = (other: Socket) => () => {
    other.destroy();
    if (--open === 0) onEnd();
  };
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.once('close', closed(upstream));
  upstream.once('close', closed(client));
  client.pipe(upstream);
  upstream.pipe(client);
}
