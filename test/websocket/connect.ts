import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { type ClientOptions, WebSocket } from 'ws';

export interface Opened {
  readonly socket: WebSocket;
  /** The next message that comes. */
  message(): Promise<{ readonly data: Buffer; readonly binary: boolean }>;
  /** `CODE reason` once it has closed. */
  readonly closed: Promise<string>;
}

/** Opens a WebSocket of `host` at a listener; gone with the test. Rejects if it is refused. */
export async function connectEcho(
  context: TestContext,
  address: string,
  {
    path = '/',
    protocols = [],
    host = 'echo.shop',
    ...options
  }: ClientOptions & { path?: string; protocols?: string[]; host?: string } = {},
): Promise<Opened> {
  const socket = new WebSocket(`ws://${address}${path}`, protocols, {
    perMessageDeflate: false,
    ...options,
    headers: { host },
  });
  context.after(() => socket.terminate());
  const closed = new Promise<string>((resolve) =>
    socket.on('close', (code, reason) => resolve(`${code} ${reason}`.trim())),
  );
  await once(socket, 'open');
  socket.on('error', () => {}); // told by its close
  return {
    socket,
    closed,
    async message() {
      const [data, binary] = (await once(socket, 'message')) as [Buffer, boolean];
      return { data, binary };
    },
  };
}
