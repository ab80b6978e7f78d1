import type { Pending } from '../routing/plan.ts';
import type { Transport } from '../transport/transport.ts';
import type { Connections } from './connections.ts';

/** Holds a connection of which nothing was read until `pending` calls, or it is gone. A drain does not wait for it. */
export function waitArriving(
  connections: Connections,
  transport: Transport,
  pending: Pending,
  proceed: () => void,
): void {
  const arrived = connections.addArriving(transport);
  const cancel = pending.wait(() => {
    transport.socket.removeListener('close', gone);
    arrived();
    proceed();
  });
  const gone = (): void => {
    cancel();
    arrived();
  };
  transport.socket.once('close', gone);
}
