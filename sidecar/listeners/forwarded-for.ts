import type { Exchange } from '../exchange.ts';

/** What an outside caller may not say of itself: services would believe it of the mesh. */
const NOT_FROM_OUTSIDE = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-client-cert'];

/** The edge tells services who called, at the end of the list of proxies that was given. */
export function forwardedFor(exchange: Exchange): string {
  const { head } = exchange;
  const hops: string[] = [];
  for (let at = head.find('x-forwarded-for', 0); at >= 0; at = head.find('x-forwarded-for', at + 1)) {
    hops.push(head.value(at));
  }
  hops.push(exchange.peerAddress.replace(/:\d+$/, ''));
  for (const name of NOT_FROM_OUTSIDE) head.remove(name);
  return `x-forwarded-for: ${hops.join(', ')}\r\nx-forwarded-proto: ${exchange.scheme}\r\n`;
}
