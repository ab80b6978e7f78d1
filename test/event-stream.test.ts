import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { rawClient } from './fixture/client.ts';
import { meshPair } from './fixture/mesh-pair.ts';
import { until } from './fixture/wait.ts';

/** An application that keeps its responses open, to be written to. */
async function keepingOpen(context: TestContext, headers: Record<string, string>) {
  const open: ServerResponse[] = [];
  const state = { closed: 0 };
  const server = createServer((_request, response) => {
    response.writeHead(200, headers);
    response.flushHeaders();
    response.on('close', () => state.closed++);
    open.push(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, open, state };
}

const ASK = 'GET /events HTTP/1.1\r\nHost: feed.shop\r\nAccept: text/event-stream\r\n\r\n';

test('server-sent events: the head comes before the first event, and each event as it is sent', async (context) => {
  const { address, open, state } = await keepingOpen(context, { 'content-type': 'text/event-stream' });
  const mesh = await meshPair(context, { name: 'feed', application: address });
  const client = await rawClient(mesh.outbound);
  client.send(ASK);
  await client.expect('text/event-stream\r\n');
  await client.expect('\r\n\r\n');
  for (const word of ['one', 'two', 'three']) {
    open[0]?.write(`data: ${word}\n\n`);
    await client.expect(`data: ${word}\n\n`);
  }
  client.close();
  await until('the application hears that the reader is gone', () => state.closed === 1);
});

test('a long poll outlives the idle limit, and is answered when there is something to say', async (context) => {
  const { address, open } = await keepingOpen(context, { 'content-length': '4' });
  const limits = { idleMs: 50 };
  const mesh = await meshPair(
    context,
    { name: 'feed', application: address },
    { outbound: { limits }, inbound: { limits } },
  );
  const [poll, idle] = [await rawClient(mesh.outbound), await rawClient(mesh.outbound)];
  poll.send(ASK);
  await poll.expect('\r\n\r\n');
  // The idle limit has passed when it has cut off somebody who asks nothing.
  await idle.untilEnd();
  open[0]?.end('news');
  await poll.expect('news');
  poll.close();
  idle.close();
});
