import { type ClientHttp2Session, connect } from 'node:http2';
import type { PeerCertificate } from 'node:tls';
import type { Identity } from './identity.ts';

/** Who answers at a control plane's address must prove to be this. */
const CONTROL_PLANE_ID = /^URI:spiffe:\/\/[a-z0-9._-]+\/ns\/tulle-system\/sa\/control-plane$/;
const PING_MS = 5_000;

/**
 * Opens an HTTP/2 session to a control plane, checked by `bundlePem` and its SPIFFE ID, and closed when
 * it does not answer a ping, or is not connected, within the time of one. With `identity` it proves the workload.
 */
export function openControlSession(
  address: string,
  bundlePem: string,
  identity: Identity | undefined,
): ClientHttp2Session {
  const session = connect(`https://${address}`, {
    ca: [bundlePem], // in a list: an empty text alone would mean all public roots
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says: it gets the join token
    minVersion: 'TLSv1.3',
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => refusal(certificate),
    ...(identity !== undefined && { key: identity.keyPem, cert: identity.chainPem }),
  });
  let answered = true;
  const timer = setInterval(() => {
    if (!answered || session.connecting || session.destroyed) {
      leaveSilent(session);
      return;
    }
    answered = false;
    session.ping(() => {
      answered = true;
    });
  }, PING_MS);
  timer.unref();
  session.on('close', () => clearInterval(timer));
  session.on('error', () => {});
  return session;
}

/** It shows no sign of life: the next one is to be asked. */
export function leaveSilent(session: ClientHttp2Session): void {
  session.destroy(new Error('the control plane does not answer any more'));
}

function refusal(certificate: PeerCertificate): Error | undefined {
  const names = certificate.subjectaltname ?? '';
  return CONTROL_PLANE_ID.test(names)
    ? undefined
    : new Error(`who answers is not the control plane: its certificate names "${names}"`);
}
