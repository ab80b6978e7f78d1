import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { meshProcesses } from '../fixture/mesh-pair.ts';
import { peakBytes, resetPeak, residentBytes } from '../fixture/process-memory.ts';
import { until } from '../fixture/wait.ts';
import { connectEcho } from './connect.ts';
import { startEchoServer } from './echo-server.ts';

const MB = 1024 * 1024;
const LEAST_BYTES = 256 * MB;
/** The kernel's buffers of all hops take some 60 MB before a writer is held. */
const MOST_BYTES = 400 * MB;
/** What a sidecar may grow by, whatever is sent: it is the collector's slack, mostly. */
const MOST_GROWTH = 112 * MB;
/** Looks that see no progress, one after the other, before the stream is taken to stand still. */
const STANDSTILL_LOOKS = 100;

test('a reader that does not read holds the writer, not the memory of the sidecars, and then gets every byte', async (context) => {
  const server = await startEchoServer(context);
  const mesh = await meshProcesses(context, { name: 'echo', application: server.address });
  const { socket } = await connectEcho(context, mesh.outbound);
  const pids = [mesh.caller.child.pid ?? 0, mesh.callee.child.pid ?? 0];
  const before = pids.map(residentBytes);
  for (const pid of pids) resetPeak(pid);

  socket.pause();
  const sent = createHash('sha256');
  let sentBytes = 0;
  let looks = 0;
  let left = 0;
  await until('the writer to be held', () => {
    looks = socket.bufferedAmount === left && left > 0 ? looks + 1 : 0;
    left = socket.bufferedAmount;
    if (left < MB && sentBytes < MOST_BYTES) {
      const message = randomBytes(MB);
      sent.update(message);
      sentBytes += message.length;
      socket.send(message);
    }
    return looks > STANDSTILL_LOOKS;
  });
  assert.ok(sentBytes < MOST_BYTES, 'nothing held the writer');

  const received = createHash('sha256');
  let receivedBytes = 0;
  socket.on('message', (data: Buffer) => {
    received.update(data);
    receivedBytes += data.length;
  });
  socket.resume();
  while (sentBytes < LEAST_BYTES) {
    const message = randomBytes(MB);
    sent.update(message);
    sentBytes += message.length;
    socket.send(message);
  }
  await until('all of it to come back', () => receivedBytes === sentBytes);
  assert.equal(received.digest('hex'), sent.digest('hex'));
  for (const [index, pid] of pids.entries()) {
    const growth = peakBytes(pid) - (before[index] ?? 0);
    context.diagnostic(`measured: ${(growth / MB).toFixed(1)} MB more of ${sentBytes / MB} MB sent`);
    assert.ok(growth < MOST_GROWTH, `a sidecar grew by ${(growth / MB).toFixed(1)} MB`);
  }
});

test('SIGTERM tells 1001 to the client and to the server, and the sidecar ends', async (context) => {
  const server = await startEchoServer(context);
  const mesh = await meshProcesses(context, { name: 'echo', application: server.address });
  const { closed } = await connectEcho(context, mesh.outbound);
  await mesh.drainCaller();
  assert.match(await closed, /^1001\b/);
  await until('the close at the server', () => server.closed.length === 1);
  assert.match(server.closed[0] ?? '', /^1001\b/);
});
