import { networkInterfaces } from 'node:os';

/** Whether this machine has IPv6 at all: a container may have been given none. */
export function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
}

/** The address of `port` on all interfaces, of both families where there are both. */
export function anyAddress(port: number): string {
  return hasIpv6() ? `[::]:${port}` : `0.0.0.0:${port}`;
}
