import { parseArgs } from 'node:util';

/** One flag of `tulle sidecar`: shown by commander's help, read by Node's own parser when it runs. */
interface Flag {
  readonly name: string;
  readonly argument?: string;
  readonly description: string;
  readonly initial?: string;
}

export const SIDECAR_FLAGS: readonly Flag[] = [
  {
    name: 'standalone',
    argument: '<mesh.yaml>',
    description: 'run on this file alone, without a control plane',
  },
  {
    name: 'control-plane',
    argument: '<host:port...>',
    description: 'control planes to get configuration and certificates from',
  },
  { name: 'bundle', argument: '<file>', description: 'trusted roots (PEM) to check the control plane by' },
  { name: 'token-file', argument: '<file>', description: 'join token for the first certificate' },
  {
    name: 'identity',
    argument: '<cert,key,bundle>',
    description: 'certificate, key and trusted roots from files',
  },
  {
    name: 'workload',
    argument: '<ns/name=host:port>',
    description: 'the service this sidecar stands beside, and where its application listens',
  },
  {
    name: 'service-account',
    argument: '<name>',
    description: "the workload's service account, if it is not the service's name",
  },
  { name: 'inbound', argument: '<host:port>', description: 'take calls to the workload here' },
  {
    name: 'outbound',
    argument: '<host:port>',
    description: "take the workload's own calls here, routed by Host",
  },
  {
    name: 'outbound-service',
    argument: '<ns/name=host:port...>',
    description: 'take calls to this one service here, whatever they speak',
  },
  {
    name: 'pod',
    argument: '<ns/name>',
    description: 'take the connections that the rules of this pod redirect (tulle capture)',
  },
  { name: 'pod-ips', argument: '<ip,ip>', description: "the pod's own addresses" },
  {
    name: 'inbound-port',
    argument: '<port>',
    description: 'where calls to the pod are redirected to (4143 if it is not given)',
  },
  {
    name: 'outbound-port',
    argument: '<port>',
    description: "where the pod's own calls are redirected to (4140 if it is not given)",
  },
  {
    name: 'mtls',
    argument: '<mode>',
    description:
      'strict or permissive (if it is not given): what holds until a control plane has spoken of the pod',
  },
  {
    name: 'probes',
    argument: '<json>',
    description:
      'what the kubelet asks of the application, like [{"port":8080,"path":"/healthz"},{"port":9000,"grpc":""},{"port":5432,"tcp":true}]',
  },
  {
    name: 'opaque-ports',
    argument: '<ports>',
    description:
      'ports of the pod whose connections are not read, like 3306,6379, besides those of its services',
  },
  { name: 'gateway', argument: '<host:port>', description: 'serve a Gateway here' },
  {
    name: 'gateway-listen',
    argument: '<ip>',
    description: "serve a Gateway here, at its listeners' own ports; *: on all interfaces",
  },
  { name: 'gateway-name', argument: '<ns/name>', description: 'which Gateway, if there are several' },
  {
    name: 'workers',
    argument: '<count>',
    description: 'processes that share the addresses; 1, or at a gateway the number of cores',
  },
  { name: 'admin', argument: '<host:port>', description: 'readiness, metrics, explanations' },
  {
    name: 'health',
    argument: '<port>',
    description: 'readiness, metrics and TCP probes alone, on all interfaces',
  },
  { name: 'namespace', argument: '<name>', description: 'where short host names are looked up' },
  {
    name: 'zone',
    argument: '<name>',
    description: 'where this proxy runs, for "zone prefer"; of a pod the control plane knows it',
  },
  {
    name: 'drain',
    argument: '<duration>',
    description: 'how long requests in flight may take after SIGTERM',
    initial: '10s',
  },
  {
    name: 'connect-timeout',
    argument: '<duration>',
    description: 'how long a connect to an endpoint may take, TLS included',
    initial: '2s',
  },
  {
    name: 'max-queue-time',
    argument: '<duration>',
    description: 'how long a request may wait for an overloaded proxy before it is refused',
    initial: '250ms',
  },
  {
    name: 'max-head-bytes',
    argument: '<bytes>',
    description: 'largest head of a message: start line and headers',
    initial: '65536',
  },
  { name: 'max-headers', argument: '<count>', description: 'most header lines of a message', initial: '100' },
  {
    name: 'head-timeout',
    argument: '<duration>',
    description: 'how long the head of a request may take to arrive',
    initial: '10s',
  },
  {
    name: 'idle-timeout',
    argument: '<duration>',
    description: 'how long a client may keep a connection without a request',
    initial: '10m',
  },
  {
    name: 'detect-timeout',
    argument: '<duration>',
    description:
      'how long to wait for first bytes that tell the protocol, before the server is taken to speak first',
    initial: '1s',
  },
  {
    name: 'tcp-idle-timeout',
    argument: '<duration>',
    description: 'how long nothing may move on an opaque connection; 0: for ever',
    initial: '1h',
  },
  { name: 'access-log', description: 'log a line for each request' },
  { name: 'log-level', argument: '<level>', description: 'debug, info, warn or error', initial: 'info' },
];

/** What was given of the flags, by their names. */
export type SidecarFlags = Partial<Record<string, string | boolean | string[]>>;

/** Reads the flags. Throws an Error that names what is not a flag. */
export function parseSidecarFlags(args: readonly string[]): SidecarFlags {
  const options = Object.fromEntries(
    SIDECAR_FLAGS.map(({ name, argument, initial }) => [
      name,
      {
        type: argument === undefined ? ('boolean' as const) : ('string' as const),
        ...(argument?.includes('...') && { multiple: true }),
        ...(initial !== undefined && { default: initial }),
      },
    ]),
  );
  const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
  return values as SidecarFlags; // no boolean flag is given more than once: strict
}
