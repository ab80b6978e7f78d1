/** Codes of OpenSSL for bytes that are no TLS, such as a plain HTTP response. */
const NO_TLS = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_UNEXPECTED_MESSAGE',
]);

/** Why a TLS handshake failed, in words for people. */
export function tlsWords(error: Error | undefined): string {
  if (error === undefined) return 'the peer closed during the handshake';
  // OpenSSL's own errors have their text apart from where in its source they were made.
  const { code = '', reason = error.message } = error as { code?: string; reason?: string };
  // Advice for those who run Node themselves is none for those who read this.
  return NO_TLS.has(code)
    ? `the peer does not speak TLS (${reason})`
    : reason.split('; if the root CA', 1).join();
}
