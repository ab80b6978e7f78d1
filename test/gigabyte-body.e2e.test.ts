import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { meshProcesses } from './fixture/mesh-pair.ts';
import { peakBytes, resetPeak, residentBytes } from './fixture/process-memory.ts';

const MB = 1024 * 1024;
const GIGABYTE = 1024 * MB;
/** What a sidecar may grow by, whatever is sent: it is the collector's slack, mostly. */
const MOST_GROWTH = 112 * MB;

/** A gigabyte in which each megabyte begins with its number. */
function* gigabyte(): Generator<Buffer> {
  for (let index = 0; index < GIGABYTE / MB; index++) {
    const chunk = Buffer.alloc(MB, index);
    chunk.writeUInt32BE(index);
    yield chunk;
  }
}

/** Reads a body to its end; gives its length, or fails at the first megabyte that is out of its place. */
async function lengthOf(body: AsyncIterable<Buffer>): Promise<number> {
  let length = 0;
  for await (const bytes of body) {
    const next = Math.ceil(length / MB) * MB;
    if (next + 4 <= length + bytes.length && next >= length)
      assert.equal(bytes.readUInt32BE(next - length), next / MB, `at byte ${next}`);
    length += bytes.length;
  }
  return length;
}

/** Takes gigabytes and gives them. */
async function application(context: TestContext): Promise<string> {
  const server = createServer((incoming, response) => {
    if (incoming.method === 'POST') {
      void lengthOf(incoming).then((length) => response.end(String(length)));
      return;
    }
    const chunked = incoming.url === '/chunked';
    response.writeHead(200, chunked ? {} : { 'content-length': GIGABYTE });
    pipeline(Readable.from(gigabyte(), { objectMode: false }), response).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function ask(address: string, path: string, method = 'GET', headers = {}) {
  const [host, port] = address.split(':');
  return request({ host, port, path, method, headers: { host: 'files.shop', ...headers } });
}

async function responseTo(asked: ReturnType<typeof request>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => asked.once('response', resolve).once('error', reject));
}

test('a gigabyte goes through both sidecars in either direction, in constant memory', async (context) => {
  const mesh = await meshProcesses(context, { name: 'files', application: await application(context) });
  const pids = [mesh.caller.child.pid ?? 0, mesh.callee.child.pid ?? 0];
  const before = pids.map((pid) => residentBytes(pid));
  for (const pid of pids) resetPeak(pid);

  for (const path of ['/length', '/chunked']) {
    const asked = ask(mesh.outbound, path);
    asked.end();
    assert.equal(await lengthOf(await responseTo(asked)), GIGABYTE, path);
  }
  for (const headers of [{ 'content-length': GIGABYTE }, { 'transfer-encoding': 'chunked' }]) {
    const asked = ask(mesh.outbound, '/upload', 'POST', headers);
    const response = responseTo(asked);
    await pipeline(Readable.from(gigabyte(), { objectMode: false }), asked);
    const answer = await (await response).toArray();
    assert.equal(Buffer.concat(answer).toString(), String(GIGABYTE), JSON.stringify(headers));
  }

  for (const [index, pid] of pids.entries()) {
    const grown = peakBytes(pid) - (before[index] ?? 0);
    assert.ok(grown < MOST_GROWTH, `process ${index} grew by ${Math.round(grown / MB)} MB`);
  }
});
