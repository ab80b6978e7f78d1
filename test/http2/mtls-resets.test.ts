import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { meshPair } from '../fixture/mesh-pair.ts';
import { ask, begin, openSession } from './client.ts';
import { cutStream, startHttp2 } from './server.ts';

const MB = 1024 * 1024;
const LIMIT = { timeout: 60_000 };

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test(
  'large bodies through both sidecars, by mTLS, while streams beside them are reset by client and server: every byte arrives, connections stay',
  LIMIT,
  async (context) => {
    const large = randomBytes(8 * MB);
    const application = await startHttp2(context, (stream, { ':path': path }) => {
      if (path === '/echo') {
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
      } else {
        stream.respond({ ':status': 200 });
        stream.write(large.subarray(0, 100_000), () => {
          if (path === '/cut') cutStream(stream);
        });
      }
    });
    const mesh = await meshPair(context, {
      name: 'app',
      application: application.address,
      protocol: 'http2',
    });
    // In MB: the bodies wait in it.
    const session = await openSession(context, mesh.outbound, { maxSessionMemory: 1000 });
    let ended = false;
    let taken = 0;
    const resets = (async () => {
      while (!ended || taken < 20) {
        const stream = begin(session, { ':method': 'POST', ':path': '/held' });
        stream.on('error', () => {});
        stream.write(large.subarray(0, 200_000));
        await new Promise((resolve) => stream.once('data', resolve));
        stream.close(8);
        await assert.rejects(ask(session, { ':path': '/cut' }), /cut short|INTERNAL_ERROR/);
        taken++;
      }
    })();
    const echoes = await Promise.all(
      Array.from({ length: 6 }, () => ask(session, { ':method': 'POST', ':path': '/echo' }, large)),
    ).finally(() => {
      ended = true;
    });
    await resets;
    const whole = digest(large);
    for (const { status, body } of echoes) assert.deepEqual([status, digest(body)], [200, whole]);
    assert.equal(session.closed, false, "the client's connection stays");
    assert.equal(application.sessions.length, 1, "the server's connection stays");
    assert.equal(
      (await ask(session, { ':method': 'POST', ':path': '/echo' }, 'last')).body.toString(),
      'last',
    );
  },
);
