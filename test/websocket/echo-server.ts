import { createServer } from 'node:http';
import type { TestContext } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';

export interface EchoServer {
  /** HOST:PORT. */
  readonly address: string;
  /** All connections that came, the latest last. */
  readonly connections: WebSocket[];
  /** What became of them: `CODE reason`, in the order in which they closed. */
  readonly closed: string[];
}

/**
 * A WebSocket server of HTTP/1.1 that sends every message back; gone with the test. It reads no further than
 * it can write. `/refused` is answered with 403, `/plain` with 200, `/never` not at all.
 */
export async function startEchoServer(context: TestContext): Promise<EchoServer> {
  const http = createServer((_request, response) => response.end('no websocket here'));
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has('v2.echo') ? 'v2.echo' : false),
  });
  const connections: WebSocket[] = [];
  const closed: string[] = [];
  http.on('upgrade', (request, socket, head) => {
    if (request.url === '/never') {
      socket.on('error', () => {}); // whoever waited in vain goes
      return;
    }
    if (request.url === '/refused') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\nX-Why: rules\r\n\r\nnot you!');
      return;
    }
    server.handleUpgrade(request, socket, head, (connection) => {
      connections.push(connection);
      connection.on('error', () => {}); // told by its close
      connection.on('close', (code, reason) => closed.push(`${code} ${reason}`.trim()));
      connection.on('message', (data: Buffer, binary) => {
        connection.pause();
        connection.send(data, { binary }, () => connection.resume());
      });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    for (const connection of connections) connection.terminate();
    http.close();
    http.closeAllConnections();
  });
  const bound = http.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return { address: `127.0.0.1:${port}`, connections, closed };
}
