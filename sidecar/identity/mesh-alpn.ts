/** What sidecars speak to each other: no other mesh, and no plain TLS server, offers it. */
export const MESH_ALPN = 'tulle/1+http/1.1';
export const MESH_H2_ALPN = 'tulle/1+h2';
export const MESH_TCP_ALPN = 'tulle/1+tcp';
