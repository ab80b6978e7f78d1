import type { BackendTls } from '../../protocol/backend-tls.ts';
import type { ListenerCertificate } from '../../protocol/gateway.ts';

/** How endpoints that are no mesh peers are called where their service speaks TLS itself. */
export interface BackendCall {
  readonly tls: BackendTls;
  /** Presented to those who ask for a certificate. */
  readonly own?: ListenerCertificate | undefined;
}
