import { accept } from '../listeners/accept.ts';

/**
 * The address that all workers shall listen on, with the port that the kernel chose if it was 0. Throws an
 * error if somebody listens there: workers share their port with whoever asks for it in the same way, and
 * a second data plane by mistake would silently get half of the connections of the first.
 */
export async function reserveAddress(address: string): Promise<string> {
  const acceptor = await accept(address, (socket) => socket.destroy());
  acceptor.stop();
  return acceptor.address;
}
