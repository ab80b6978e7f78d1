import type { ClientHttp2Session } from 'node:http2';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import type { IdentityResponse } from '../../protocol/identity-request.ts';
import type { Log } from '../log.ts';
import { openControlSession } from './control-session.ts';
import type { Identity, IdentitySource } from './identity.ts';
import { readIdentity } from './read-identity.ts';
import { requestPauseMs } from './request-pause.ts';

const REQUEST_MS = 10_000;
const MAX_RESPONSE = 256 * 1024;

export interface IdentityOptions {
  /** HOST:PORT of control planes, asked in turn. */
  readonly controlPlane: readonly string[];
  /** Trusted roots in PEM, read anew when they are needed: a projected bundle changes. */
  readonly bundle: () => string;
  /** Read anew each time: projected tokens change. */
  readonly token: () => string;
  readonly log: Log;
}

/**
 * Gets a certificate for a key that never leaves this process, and renews it at 60 % of its life. While
 * no authority answers, the current one is used to its end.
 */
export function requestIdentity(options: IdentityOptions): IdentitySource {
  return new RequestedIdentity(options);
}

class RequestedIdentity implements IdentitySource {
  private readonly options: IdentityOptions;
  private identity: Identity | undefined = undefined;
  private error: string | undefined = undefined;
  private readonly listeners = new Set<(identity: Identity) => void>();
  private timer: NodeJS.Timeout | undefined = undefined;
  private failures = 0;
  /** The last answer came from who is of none of the identity's roots: they may have been replaced. */
  private rootUnknown = false;
  private turn = 0;
  private closed = false;
  /** Of the request that is under way. */
  private session: ClientHttp2Session | undefined = undefined;

  constructor(options: IdentityOptions) {
    this.options = options;
    void this.renew();
  }

  current(): Identity | undefined {
    return this.identity;
  }

  onChange(listener: (identity: Identity) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  lastError(): string | undefined {
    return this.error;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.session?.destroy();
  }

  private async renew(): Promise<void> {
    try {
      const { identity, renewAfterMs } = await this.request();
      if (this.closed) return;
      this.identity = identity;
      this.error = undefined;
      this.failures = 0;
      this.rootUnknown = false;
      for (const listener of this.listeners) listener(identity);
      // A little earlier, by chance: a fleet that started together must not renew together.
      this.again(renewAfterMs * (0.9 + Math.random() * 0.1));
    } catch (error) {
      if (this.closed) return;
      this.error = error instanceof Error ? error.message : String(error);
      this.rootUnknown = isUnknownRoot(error);
      this.options.log.warn(
        { error: this.error },
        this.identity === undefined ? 'no certificate yet' : 'the certificate could not be renewed yet',
      );
      this.again(requestPauseMs(this.failures++, (this.valid?.notAfter ?? 0) - Date.now()));
    }
  }

  /** What it can still prove itself by. */
  private get valid(): Identity | undefined {
    return this.identity !== undefined && this.identity.notAfter > Date.now() ? this.identity : undefined;
  }

  private again(afterMs: number): void {
    this.timer = setTimeout(() => void this.renew(), afterMs);
  }

  private async request(): Promise<{ identity: Identity; renewAfterMs: number }> {
    const { controlPlane, bundle, token } = this.options;
    const address = controlPlane[this.turn++ % controlPlane.length] ?? '';
    const { keyPem, csrPem } = createCertificateRequest();
    const { valid } = this;
    const roots = this.identity === undefined || this.rootUnknown ? bundle() : this.identity.bundlePem;
    const session = openControlSession(address, roots, valid);
    this.session = session;
    try {
      // By the certificate a renewal needs no API server; where it is refused, the token may still say who this is.
      const byToken = valid === undefined || this.failures % 2 === 1;
      const body = JSON.stringify(byToken ? { csr: csrPem, token: token() } : { csr: csrPem });
      const response = await post(session, address, body);
      const identity = readIdentity(response.chain, keyPem, response.bundle);
      if (valid !== undefined && valid.spiffeId !== identity.spiffeId)
        throw new Error(`the authority renewed ${valid.spiffeId} as ${identity.spiffeId}`);
      return { identity, renewAfterMs: response.renewAfterMs };
    } finally {
      session.close();
    }
  }
}

/** OpenSSL's words for a chain that ends at no root of ours. */
const UNKNOWN_ROOT = new Set([
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether an error, or what it was caused by, says so: a pending request is told of it before the session is. */
function isUnknownRoot(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && UNKNOWN_ROOT.has(String(error.code))) return true;
  return isUnknownRoot(error.cause);
}

function post(session: ClientHttp2Session, address: string, body: string): Promise<IdentityResponse> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      session.destroy();
      reject(new Error(`the authority at ${address}: ${error.message}`, { cause: error }));
    };
    session.once('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/identity',
      'content-type': 'application/json',
    });
    stream.setTimeout(REQUEST_MS, () => fail(new Error(`no answer within ${REQUEST_MS} ms`)));
    stream.once('error', fail);
    let status = 0;
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_RESPONSE) fail(new Error('its answer is too long'));
    });
    stream.on('end', () => {
      try {
        const answer = JSON.parse(text) as IdentityResponse & { message?: string };
        if (status !== 200) throw new Error(answer.message ?? `status ${status}`);
        resolve(answer);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    stream.end(body);
  });
}
