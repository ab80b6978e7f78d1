import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { answering } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { appMesh, temporaryDir, writeMesh } from './fixture/relay.ts';
import { startTulle } from './fixture/tulle.ts';
import { until } from './fixture/wait.ts';

const CLIENTS = 300;
const PIPELINED = 20;
const GET = 'GET / HTTP/1.1\r\nHost: app\r\n\r\n';

test('more work than a core can do: some is refused with a reason, the rest is served, the admin port answers', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const mesh = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(mesh, appMesh([backend.address]));
  const tulle = await startTulle(
    context,
    'sidecar',
    ...['--standalone', mesh, '--namespace', 't', '--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    // A turn of the event loop that serves so many clients is longer than this on any machine.
    ...['--max-queue-time', '1ms'],
  );
  const { outbound = '', admin = '' } = tulle.ready;
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient(outbound)));
  context.after(() => {
    for (const client of clients) client.close();
  });
  const counts = () => {
    const texts = clients.map(({ text }) => text);
    const all = texts.join('');
    return {
      served: all.split('HTTP/1.1 200 ').length - 1,
      refused: all.split('tulle-reason: overloaded').length - 1,
    };
  };
  let asked = 0;
  await until('a refusal', async () => {
    for (const client of clients) client.send(GET.repeat(PIPELINED));
    asked += CLIENTS * PIPELINED;
    assert.equal((await fetch(`http://${admin}/livez`)).status, 200);
    await until('an answer to each request', () => counts().served + counts().refused >= asked);
    return counts().refused > 0;
  });
  const { served, refused } = counts();
  assert.equal(served + refused, asked);
  assert.ok(served > 0);
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  assert.match(metrics, /tulle_local_responses_total\{[^}]*reason="overloaded"\} \d+/);
  // What has passed is over: the next is served.
  const late = await rawClient(outbound);
  late.send(GET);
  await late.expect('200 OK');
  late.close();
});
