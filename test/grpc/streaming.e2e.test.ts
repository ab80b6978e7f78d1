import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type Client,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { type MeshProcesses, meshProcesses } from '../fixture/mesh-pair.ts';
import { peakBytes, resetPeak, residentBytes } from '../fixture/process-memory.ts';
import { until } from '../fixture/wait.ts';
import { clientOf, statusOf } from './calls.ts';
import { zeros } from './interop-client.ts';
import { startGrpcServer } from './interop-server.ts';
import {
  type StreamingInputCallRequest,
  type StreamingInputCallResponse,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponse,
  TEST_SERVICE,
} from './services.ts';

const MB = 1024 * 1024;
const MESSAGES = 256;
/** What a sidecar may grow by, whatever is sent: it is the collector's slack, mostly. */
const MOST_GROWTH = 128 * MB;
/** Looks that see no progress, one after the other, before a stream is taken to stand still. */
const STANDSTILL_LOOKS = 100;
const LIMIT = { timeout: 90_000 };

interface Progress {
  /** Messages that the writer has got rid of. */
  written: number;
  /** Begins to read what is uploaded. */
  read: () => void;
}

/** Streams of 1 MB messages, MESSAGES of them each way. */
function startServer(context: TestContext, progress: Progress): Promise<string> {
  return startGrpcServer(context, [
    [
      TEST_SERVICE,
      {
        StreamingOutputCall: async (
          call: ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>,
        ) => {
          await writeAll(call, progress);
          call.end();
        },
        StreamingInputCall: (
          call: ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
          answer: sendUnaryData<StreamingInputCallResponse>,
        ) => {
          let aggregatedPayloadSize = 0;
          progress.read = () => {
            call.on('data', ({ payload }: StreamingInputCallRequest) => {
              aggregatedPayloadSize += payload.body.length;
            });
            call.on('end', () => answer(null, { aggregatedPayloadSize }));
          };
        },
      },
    ],
  ]);
}

/** Writes each message when the one before is gone. */
async function writeAll(
  call: { write(message: StreamingOutputCallResponse, gone: () => void): unknown },
  progress: Progress,
): Promise<void> {
  const message = { payload: zeros(MB) };
  for (; progress.written < MESSAGES; progress.written++)
    await new Promise<void>((resolve) => call.write(message, () => resolve()));
}

async function standstill({ written }: Progress, now: () => number): Promise<void> {
  let [looks, before] = [0, written];
  await until('the writer to be held', () => {
    looks = now() === before ? looks + 1 : 0;
    before = now();
    return looks > STANDSTILL_LOOKS;
  });
}

/** Runs with a client through both sidecars, and asserts that neither grew. */
async function measured(
  context: TestContext,
  mesh: MeshProcesses,
  run: (client: Client) => Promise<void>,
): Promise<void> {
  const client = clientOf({ address: mesh.outbound, authority: 'app.shop' });
  context.after(() => client.close());
  const pids = [mesh.caller.child.pid ?? 0, mesh.callee.child.pid ?? 0];
  const before = pids.map(residentBytes);
  for (const pid of pids) resetPeak(pid);
  await run(client);
  for (const [index, pid] of pids.entries()) {
    const growth = peakBytes(pid) - (before[index] ?? 0);
    context.diagnostic(`measured: ${(growth / MB).toFixed(1)} MB more of ${MESSAGES} MB`);
    assert.ok(growth < MOST_GROWTH, `a sidecar grew by ${(growth / MB).toFixed(1)} MB`);
  }
}

test(
  '256 MB to a client that does not read at first: the server is held, no message is lost',
  LIMIT,
  async (context) => {
    const progress: Progress = { written: 0, read() {} };
    const application = await startServer(context, progress);
    const mesh = await meshProcesses(context, { name: 'app', application, protocol: 'grpc' });
    await measured(context, mesh, async (client) => {
      const { path, requestSerialize, responseDeserialize } = TEST_SERVICE.StreamingOutputCall;
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
      const ended = statusOf(call);
      let bytes = 0;
      call.on('data', ({ payload }: StreamingOutputCallResponse) => {
        // grpc-js holds its server only once it has read a message.
        if (bytes === 0) call.pause();
        bytes += payload.body.length;
      });
      await until('the first message', () => bytes > 0);
      await standstill(progress, () => progress.written);
      assert.ok(progress.written < MESSAGES, 'nothing held the server');
      call.resume();
      assert.equal((await ended).code, status.OK);
      assert.equal(bytes, MESSAGES * MB);
    });
  },
);

test(
  '256 MB to a server that does not read at first: the client is held, no message is lost',
  LIMIT,
  async (context) => {
    const received: Progress = { written: 0, read() {} };
    const sent: Progress = { written: 0, read() {} };
    const application = await startServer(context, received);
    const mesh = await meshProcesses(context, { name: 'app', application, protocol: 'grpc' });
    await measured(context, mesh, async (client) => {
      const { path, requestSerialize, responseDeserialize } = TEST_SERVICE.StreamingInputCall;
      const answer = new Promise((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          (error, response) => (error === null ? resolve(response) : reject(error)),
        );
        writeAll(call, sent).then(() => call.end());
      });
      await standstill(sent, () => sent.written);
      assert.ok(sent.written < MESSAGES, 'nothing held the client');
      received.read();
      assert.deepEqual(await answer, { aggregatedPayloadSize: MESSAGES * MB });
    });
  },
);
