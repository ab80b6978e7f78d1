import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type SecureClientSessionOptions,
} from 'node:http2';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import type { ServerMessage } from '../../protocol/control-messages.ts';
import { lineReader } from '../../protocol/line-reader.ts';
import type { Authority } from '../authority/authority.ts';

export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

/** A certificate of an authority, whoever asks. */
export async function credentials(authority: Authority, workload: string): Promise<Credentials> {
  const { keyPem, csrPem } = createCertificateRequest();
  return { key: keyPem, cert: (await authority.issue(csrPem, workload)).chain };
}

/** What came of a call. */
export interface Answer {
  readonly stream: ClientHttp2Stream;
  status: number;
  text: string;
  readonly messages: ServerMessage[];
  ended: boolean;
  closed: boolean;
}

/** For tests: a client that sends what it is told, be it right or wrong. */
export interface RawSidecar {
  readonly session: ClientHttp2Session;
  /** Undefined while the session is open. */
  readonly over: string | undefined;
  /** Opens a call; `body` undefined leaves it open for more. */
  call(path: string, body?: string, method?: string): Answer;
}

/** `tls`: what an https URL needs; who answers is not checked. */
export function rawSidecar(url: string, tls: SecureClientSessionOptions = {}): RawSidecar {
  const session = connect(url, { ...tls, checkServerIdentity: () => undefined });
  let over: string | undefined;
  session.on('error', (error) => {
    over = error.message;
  });
  session.on('close', () => {
    over ??= 'closed';
  });
  return {
    session,
    get over() {
      return over;
    },
    call(path, body, method = 'POST') {
      const stream = session.request({ ':method': method, ':path': path }, { endStream: false });
      const answer: Answer = { stream, status: 0, text: '', messages: [], ended: false, closed: false };
      stream.on('response', (headers) => {
        answer.status = Number(headers[':status']);
      });
      const read = lineReader(
        64 * 1024 * 1024,
        (line) => answer.messages.push(JSON.parse(line) as ServerMessage),
        () => stream.destroy(),
      );
      stream.on('data', (bytes: Buffer) => {
        answer.text += bytes.toString();
        read(bytes);
      });
      stream.on('end', () => {
        answer.ended = true;
      });
      stream.on('error', () => {});
      stream.on('close', () => {
        answer.closed = true;
      });
      if (body !== undefined) stream.end(body);
      return answer;
    },
  };
}
