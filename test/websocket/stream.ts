import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { type Frame, serverFrames } from './frames.ts';

/** A WebSocket of the service `echo.shop` as a stream of HTTP/2 (RFC 8441). */
export function openWebSocket(
  session: ClientHttp2Session,
  path = '/',
  more: Record<string, string> = {},
): ClientHttp2Stream {
  return session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': path,
      ':authority': 'echo.shop',
      'sec-websocket-version': '13',
      ...more,
    },
    { endStream: false },
  );
}

export async function headersOf(
  stream: ClientHttp2Stream,
): Promise<Record<string, string> & { ':status': number }> {
  const [headers] = (await once(stream, 'response')) as [Record<string, string> & { ':status': number }];
  return headers;
}

/** All frames that come on a stream. */
export function framesOf(stream: ClientHttp2Stream): Frame[] {
  const frames: Frame[] = [];
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (bytes: Buffer) => {
    const read = serverFrames(Buffer.concat([rest, bytes]));
    frames.push(...read.frames);
    rest = read.rest;
  });
  return frames;
}
