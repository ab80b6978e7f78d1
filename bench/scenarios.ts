import type { Hop } from './proxies/peer.ts';

/** One kind of work, the same for every peer. */
export interface Scenario {
  name: string;
  /** What it is, for the report. */
  title: string;
  /** The proxies on the way, the client's first. All of them run on the proxy core, and all of them count. */
  hops: readonly Pick<Hop, 'accepts' | 'speaks'>[];
  path: string;
  /** Length of a request's body; 0 sends a GET. */
  requestBytes: number;
  /** Length of the answer's body. */
  responseBytes: number;
  /** Whether load is run, or only the start and the idle memory are measured. */
  load: boolean;
}

const oneProxy: Scenario['hops'] = [{ accepts: 'plain', speaks: 'plain' }];

function sized(name: string, title: string, responseBytes: number): Scenario {
  return {
    name,
    title,
    hops: oneProxy,
    path: `/bytes/${responseBytes}`,
    requestBytes: 0,
    responseBytes,
    load: true,
  };
}

const small = sized('100b', 'HTTP/1.1, 100 B responses', 100);

/** All scenarios, in the report's order. */
export const scenarios: readonly Scenario[] = [
  { ...small, name: 'start', title: 'start and idle, no load', load: false },
  small,
  sized('16k', 'HTTP/1.1, 16 KiB responses', 16_384),
  sized('1m', 'HTTP/1.1, 1 MiB responses', 1_048_576),
  { ...small, name: 'post', title: 'HTTP/1.1, 10 KiB POST', path: '/upload', requestBytes: 10_240 },
  {
    ...small,
    name: 'mtls',
    title: 'mTLS to the upstream, 100 B responses',
    hops: [{ accepts: 'plain', speaks: 'mtls' }],
  },
  {
    ...small,
    name: 'mesh',
    title: 'client - proxy - mTLS - proxy - app, 100 B responses, both proxies counted',
    hops: [
      { accepts: 'plain', speaks: 'mtls' },
      { accepts: 'mtls', speaks: 'plain' },
    ],
  },
];

/** The Host of every request: Tulle routes by it, the others ignore it. */
export const host = 'app.bench';
/** Connections of the client, all kept alive. */
export const connections = 64;
