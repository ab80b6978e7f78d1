import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { meshProcesses } from '../fixture/mesh-pair.ts';
import { peakBytes, resetPeak, residentBytes } from '../fixture/process-memory.ts';
import { begin, openSession } from './client.ts';
import { startHttp1, startHttp2 } from './server.ts';

const MB = 1024 * 1024;
const BODY_MB = 256;
/** What a sidecar may grow by, whatever is sent: it is the collector's slack, mostly. */
const MOST_GROWTH = 112 * MB;
const LIMIT = { timeout: 120_000 };

/** A body of BODY_MB, made while it is read, and the digest of what was made. */
function body(): { readonly stream: Readable; readonly digest: Promise<string> } {
  const made = createHash('sha256');
  const chunk = randomBytes(MB);
  let done: (digest: string) => void = () => {};
  const digest = new Promise<string>((resolve) => {
    done = resolve;
  });
  function* chunks(): Generator<Buffer> {
    for (let index = 0; index < BODY_MB; index++) {
      chunk.writeUInt32BE(index);
      const bytes = Buffer.from(chunk);
      made.update(bytes);
      yield bytes;
    }
    done(made.digest('hex'));
  }
  return { stream: Readable.from(chunks(), { objectMode: false }), digest };
}

/** Passes bytes through and tells their digest at the end. */
function digesting(): { readonly through: Transform; digest(): string } {
  const came = createHash('sha256');
  const through = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      came.update(bytes);
      done(null, bytes);
    },
  });
  return { through, digest: () => came.digest('hex') };
}

type Echo = (context: TestContext) => Promise<{ readonly address: string; readonly digests: string[] }>;

/** Sends back what comes as it comes, and keeps its digest. */
const ECHOES: Readonly<Record<'http' | 'http2', Echo>> = {
  async http2(context) {
    const digests: string[] = [];
    const { address } = await startHttp2(context, (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      const { through, digest } = digesting();
      pipeline(stream, through, stream).then(
        () => digests.push(digest()),
        () => {}, // seen by the client
      );
    });
    return { address, digests };
  },
  async http(context) {
    const digests: string[] = [];
    const { address } = await startHttp1(context, (request, response) => {
      const { through, digest } = digesting();
      pipeline(request, through, response).then(
        () => digests.push(digest()),
        () => {}, // seen by the client
      );
    });
    return { address, digests };
  },
};

for (const protocol of ['http2', 'http'] as const) {
  test(
    `${BODY_MB} MB each way at once from an HTTP/2 client to a server of ${protocol}: every byte arrives, no sidecar grows by them`,
    LIMIT,
    async (context) => {
      const echo = await ECHOES[protocol](context);
      const mesh = await meshProcesses(context, { name: 'app', application: echo.address, protocol });
      const session = await openSession(context, mesh.outbound);
      const pids = [mesh.caller.child.pid ?? 0, mesh.callee.child.pid ?? 0];
      const before = pids.map(residentBytes);
      for (const pid of pids) resetPeak(pid);
      const stream = begin(session, { ':method': 'POST' });
      const sent = body();
      const received = createHash('sha256');
      stream.on('data', (bytes: Buffer) => received.update(bytes));
      const ended = once(stream, 'end');
      sent.stream.pipe(stream);
      await ended;
      const digest = await sent.digest;
      assert.equal(stream.rstCode, 0);
      assert.equal(received.digest('hex'), digest);
      assert.deepEqual(echo.digests, [digest]);
      for (const [index, pid] of pids.entries()) {
        const growth = peakBytes(pid) - (before[index] ?? 0);
        context.diagnostic(`measured: ${(growth / MB).toFixed(1)} MB more of ${2 * BODY_MB} MB`);
        assert.ok(growth < MOST_GROWTH, `a sidecar grew by ${(growth / MB).toFixed(1)} MB`);
      }
    },
  );
}
