import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bothRoute, edgeMesh, twoWays } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { openSession } from '../http2/client.ts';
import { connectEcho } from './connect.ts';
import { startEchoServer } from './echo-server.ts';
import { clientFrame, TEXT } from './frames.ts';
import { framesOf, headersOf, openWebSocket } from './stream.ts';

const LIMIT = { timeout: 60_000 };
/** Long enough for a handshake on a slow machine. */
const SHORT = '1500ms';
const POLICIES = {
  idle: { 'tulle.dev/idle-timeout': SHORT },
  whole: { 'tulle.dev/timeout': SHORT },
  tried: { 'tulle.dev/try-timeout': SHORT },
} as const;
const REASONS = { idle: 'idle-timeout', whole: 'request-timeout', tried: 'try-timeout' } as const;

/** A WebSocket that is open. */
interface Open {
  /** Sends a message, and waits until it came back. */
  echo(text: string): Promise<void>;
}

/** How a WebSocket is opened: at a path, or refused by this status and reason. */
type Opens = (context: TestContext, address: string, host: string, path: string) => Promise<Open | string>;

const byHttp1: Opens = async (context, address, host, path) => {
  try {
    const { socket, message } = await connectEcho(context, address, { host, path });
    return {
      async echo(text) {
        const came = message();
        socket.send(text);
        assert.equal((await came).data.toString(), text);
      },
    };
  } catch (error) {
    return String(error).replace(/^Error: Unexpected server response: /, '');
  }
};

const byHttp2: Opens = async (context, address, host, path) => {
  const stream = openWebSocket(await openSession(context, address), path, { ':authority': host });
  stream.on('error', () => {});
  const headers = await headersOf(stream);
  if (headers[':status'] !== 200) return `${headers[':status']} ${headers['tulle-reason']}`;
  const frames = framesOf(stream);
  return {
    async echo(text) {
      const before = frames.length;
      stream.write(clientFrame(TEXT, Buffer.from(text)));
      await until('the echo', () => frames.length > before);
      assert.equal(frames.at(-1)?.payload.toString(), text);
    },
  };
};

test(
  'a WebSocket that rests is cut by no timeout, by whatever protocol and listener; one that is never answered is',
  LIMIT,
  async (context) => {
    const server = await startEchoServer(context);
    const names = Object.keys(POLICIES) as (keyof typeof POLICIES)[];
    const { ways } = await twoWays(
      context,
      edgeMesh(
        Object.fromEntries(
          names.map((name) => [
            name,
            { protocol: 'http', endpoints: [server.address], annotations: POLICIES[name] },
          ]),
        ),
        { routes: names.map((name) => bothRoute('HTTPRoute', name, name, [{ backendRefs: [{ name }] }])) },
      ),
    );
    await Promise.all(
      ways.flatMap((way) =>
        names.map(async (name) => {
          const what = `${name} by ${way.name}`;
          const isHttp2 = way.name.startsWith('HTTP/2');
          const opens = isHttp2 ? byHttp2 : byHttp1;
          const opened = await opens(context, way.address, `${name}.t`, '/');
          if (typeof opened === 'string') assert.fail(`${what}: ${opened}`);
          await opened.echo('before');
          // Each takes as long as the timeout is, and the WebSocket rests meanwhile.
          for (let round = 0; round < 2; round++)
            assert.equal(
              await opens(context, way.address, `${name}.t`, '/never'),
              isHttp2 ? `504 ${REASONS[name]}` : '504',
              what,
            );
          await opened.echo('after');
        }),
      ),
    );
    assert.deepEqual(server.closed, []);
  },
);
