import type { Service } from '../../../protocol/service.ts';

type Protocol = Service['protocol'];

/** Words of appProtocol (IANA names and those of Kubernetes) and of port names. TLS is not read: it is opaque. */
const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  http: 'http',
  'http/1.1': 'http',
  'grpc-web': 'http',
  'kubernetes.io/ws': 'http',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  https: 'tcp',
  tls: 'tcp',
  'kubernetes.io/wss': 'tcp',
  tcp: 'tcp',
  amqp: 'tcp',
  kafka: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  postgres: 'tcp',
  postgresql: 'tcp',
  redis: 'tcp',
  smtp: 'tcp',
};

/**
 * What a Service's port speaks: appProtocol, else what its name begins with (`http-metrics`, `grpc`), else what
 * the first bytes say.
 */
export function portProtocol(appProtocol: string | undefined, name: string): Protocol {
  if (appProtocol !== undefined) return known(appProtocol.toLowerCase()) ?? 'detect';
  return (
    known(name) ?? known(name.startsWith('grpc-web') ? 'grpc-web' : (name.split('-', 1)[0] ?? '')) ?? 'detect'
  );
}

/** Whether a Service's port is declared as TLS. */
export function isOverTls(appProtocol: string | undefined, name: string): boolean {
  const word = appProtocol?.toLowerCase() ?? name.split('-', 1)[0] ?? '';
  return word === 'https' || word === 'tls' || word === 'kubernetes.io/wss';
}

function known(word: string): Protocol | undefined {
  return Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
}
