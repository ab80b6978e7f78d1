import { connect } from 'node:net';

/** Sends bytes on a connection of its own, and gives the first that come back. Rejects after 2 s. */
function say(port: number, bytes: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  socket.setTimeout(2000, () => reject(new Error('no answer in 2 s')));
  socket.setEncoding('latin1').once('data', (text: string) => resolve(text));
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('the connection was closed without an answer')));
  return promise.finally(() => socket.destroy());
}

/** Asks the stream application for an echo. Rejects when something else comes back. */
export async function askEcho(port: number): Promise<void> {
  const echo = await say(port, 'Echo');
  if (!'Echo'.startsWith(echo)) throw new Error(`the echo of Echo was ${JSON.stringify(echo)}`);
}

/** Opens a WebSocket with the key that the stream application knows. Rejects unless the protocol is switched. */
export async function askWebSocket(port: number, host: string): Promise<void> {
  const head = [
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ];
  const answer = await say(port, `${head.join('\r\n')}\r\n\r\n`);
  const line = answer.split('\r\n', 1)[0] ?? '';
  if (!line.startsWith('HTTP/1.1 101')) throw new Error(`the WebSocket was answered ${line}`);
}
