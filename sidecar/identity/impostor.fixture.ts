import type { TestContext } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';

/** For tests: a TLS server that is no control plane, and all that a client told it after the handshake. */
export interface Impostor {
  readonly address: string;
  /** Connections that came, whatever became of them. */
  readonly connections: number;
  /** Handshakes that the client gave up or finished. */
  readonly over: number;
  readonly received: string;
}

/** `answer` is called with each socket whose handshake is done. */
export async function impostor(
  context: TestContext,
  options: TlsOptions,
  answer: (socket: TLSSocket) => void = () => {},
): Promise<Impostor> {
  let connections = 0;
  let over = 0;
  let received = '';
  const server = createServer({ ALPNProtocols: ['h2'], ...options }, (socket) => {
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    answer(socket);
  });
  const open = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => over++);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return {
    address: `127.0.0.1:${port}`,
    get connections() {
      return connections;
    },
    get over() {
      return over;
    },
    get received() {
      return received;
    },
  };
}
