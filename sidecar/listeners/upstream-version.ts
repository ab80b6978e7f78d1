import type { Service } from '../../protocol/service.ts';
import type { ListenerKind } from '../exchange.ts';
import { HTTP_2, HTTP_11, type MessageHead } from '../http/message-head.ts';

/**
 * The version of HTTP in which a request goes to a service: the one that the service is said to speak. Where
 * nothing is said it keeps the caller's, but a gateway speaks HTTP/1.1, since browsers speak HTTP/2 to all, and so
 * do upgrades, since few servers know them in HTTP/2 (RFC 8441). gRPC exists in HTTP/2 only.
 */
export function upstreamVersion(
  protocol: Service['protocol'],
  listener: ListenerKind,
  exchange: { readonly grpc: boolean; readonly head: Pick<MessageHead, 'version' | 'upgrade'> },
): number {
  if (exchange.grpc) return HTTP_2;
  if (protocol === 'http') return HTTP_11;
  if (protocol === 'http2' || protocol === 'grpc') return HTTP_2;
  const { head } = exchange;
  const kept = listener !== 'gateway' && head.version === HTTP_2 && head.upgrade === '';
  return kept ? HTTP_2 : HTTP_11;
}
