/** What sidecars speak to each other: no other mesh, and no plain TLS server, offers it. */
export const MESH_ALPN = 'tulle/1+http/1.1';
/** The same with HTTP/2 inside. */
export const MESH_H2_ALPN = 'tulle/1+h2';
/** An opaque stream, after a header that says for whom (PROXY protocol version 2). */
export const MESH_TCP_ALPN = 'tulle/1+tcp';

/** Whether a TLS client is a sidecar, of this version or another: its bytes are not the application's. */
export function isMeshAlpn(name: string): boolean {
  return name.startsWith('tulle/');
}
