import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ClientMessage, ServerMessage } from '../../protocol/control-messages.ts';
import { lineReader } from '../../protocol/line-reader.ts';
import type { TestAuthority } from './authority.fixture.ts';

/** What a sidecar asks an authority for. */
interface Asked {
  readonly csr: string;
  readonly token?: string;
  /** SAN of the certificate that the client proved. */
  readonly peer: string | undefined;
}

/** A stream of resources, from the side of the control plane. */
export interface Told {
  readonly messages: ClientMessage[];
  readonly stream: ServerHttp2Stream;
  ended: boolean;
  say(...messages: (ServerMessage | string)[]): void;
}

/** For tests of one side: a control plane that does what it is told, over the TLS and HTTP/2 of a real one. */
export interface StandIn {
  readonly address: string;
  readonly asked: Asked[];
  readonly streams: Told[];
  readonly pings: number;
  /** Answers requests for a certificate; a text is sent as it is. */
  onIdentity: (
    asked: Asked,
    stream: ServerHttp2Stream,
  ) => Promise<{ status: number; body: object | string } | undefined>;
  /** Called with each stream of resources. */
  onResources: (told: Told) => void;
  /** Without a word to anybody. */
  close(): void;
}

const welcome = { type: 'welcome', version: 1, trustDomain: 'mesh.local', server: 'stand-in' } as const;

export async function standIn(context: TestContext, authority: TestAuthority): Promise<StandIn> {
  const { keyPem, chainPem } = await authority.issue('tulle-system/control-plane');
  const server = createSecureServer({
    key: keyPem,
    cert: chainPem,
    ca: authority.bundlePem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  const sessions = new Set<ServerHttp2Session>();
  let pings = 0;
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('ping', () => pings++);
  });
  server.on('sessionError', () => {});
  const standing: StandIn = {
    address: '',
    asked: [],
    streams: [],
    get pings() {
      return pings;
    },
    onIdentity: async () => undefined,
    onResources: ({ say }) => say(welcome),
    close() {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    if (headers[':path'] === '/v1/identity') void identity(standing, stream);
    else resources(standing, stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => standing.close());
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return Object.assign(standing, { address: `127.0.0.1:${port}` });
}

async function identity(standing: StandIn, stream: ServerHttp2Stream): Promise<void> {
  const socket = stream.session?.socket as TLSSocket | undefined; // of a TLS server
  const peer = socket?.authorized === true ? socket.getPeerX509Certificate()?.subjectAltName : undefined;
  let text = '';
  for await (const part of stream as AsyncIterable<Buffer>) text += part.toString();
  const asked: Asked = { ...(JSON.parse(text) as { csr: string; token?: string }), peer };
  standing.asked.push(asked);
  const answer = await standing.onIdentity(asked, stream);
  if (answer === undefined || stream.destroyed) return;
  stream.respond({ ':status': answer.status, 'content-type': 'application/json' });
  stream.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
}

function resources(standing: StandIn, stream: ServerHttp2Stream): void {
  const told: Told = {
    messages: [],
    stream,
    ended: false,
    say(...messages) {
      if (!stream.headersSent) stream.respond({ ':status': 200 });
      for (const message of messages)
        stream.write(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`);
    },
  };
  const read = lineReader(
    4 * 1024 * 1024,
    (line) => told.messages.push(JSON.parse(line) as ClientMessage),
    () => stream.destroy(),
  );
  stream.on('data', read);
  stream.on('end', () => {
    told.ended = true;
    stream.end();
  });
  standing.streams.push(told);
  standing.onResources(told);
}
