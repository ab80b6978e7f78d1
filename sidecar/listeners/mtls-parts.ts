// biome-ignore-all lint/performance/noBarrelFile: these are loaded together by one import() or not at all
export { peerWorkload } from '../../protocol/peer.ts';
export { backendTlsConnector } from '../upstream/backend-tls-connector.ts';
export { mtlsConnector } from '../upstream/mtls-connector.ts';
export { TlsAcceptor } from './tls-acceptor.ts';

/** All that needs node:tls, loaded together or not at all. */
export type MtlsParts = typeof import('./mtls-parts.ts');
