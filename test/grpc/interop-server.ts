import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  type EchoStatus,
  type SimpleRequest,
  type SimpleResponse,
  type StreamingInputCallRequest,
  type StreamingInputCallResponse,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponse,
  TEST_SERVICE,
} from './services.ts';

const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

type DuplexCall = ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;
type OutputCall = DuplexCall | ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;

/** A gRPC server of this process; gone with the test. Resolves with its HOST:PORT. */
export async function startGrpcServer(
  context: TestContext,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
): Promise<string> {
  const server = new Server();
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

/** The server of gRPC's interoperability suite, by its description (doc/interop-test-descriptions.md). */
export function startInteropServer(context: TestContext): Promise<string> {
  return startGrpcServer(context, [[TEST_SERVICE, interopService()]]);
}

/** Handlers of grpc.testing.TestService; UnimplementedCall is left out, as the suite wants it. */
function interopService(): UntypedServiceImplementation {
  const serverId = randomUUID();
  return {
    EmptyCall: (_call: ServerUnaryCall<object, object>, answer: sendUnaryData<object>) => answer(null, {}),
    UnaryCall: (
      call: ServerUnaryCall<SimpleRequest, SimpleResponse>,
      answer: sendUnaryData<SimpleResponse>,
    ) => {
      const trailers = echo(call);
      const { responseStatus, responseSize = 0, fillServerId } = call.request;
      if (isFailure(responseStatus)) {
        answer({ code: responseStatus.code, details: responseStatus.message, metadata: trailers });
        return;
      }
      const response = { payload: zeros(responseSize), ...(fillServerId && { serverId }) };
      answer(null, response, trailers);
    },
    StreamingOutputCall: async (call: OutputCall & { request: StreamingOutputCallRequest }) => {
      const trailers = echo(call);
      if (await answerWith(call, call.request)) call.end(trailers);
    },
    StreamingInputCall: (
      call: ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
      answer: sendUnaryData<StreamingInputCallResponse>,
    ) => {
      let aggregatedPayloadSize = 0;
      call.on('data', ({ payload }: StreamingInputCallRequest) => {
        aggregatedPayloadSize += payload.body.length;
      });
      call.on('end', () => answer(null, { aggregatedPayloadSize }));
    },
    FullDuplexCall: (call: DuplexCall) => {
      const trailers = echo(call);
      let answered = Promise.resolve(true);
      call.on('data', (request: StreamingOutputCallRequest) => {
        call.pause();
        answered = answerWith(call, request);
        answered.then((going) => going && call.resume());
      });
      call.on('end', () => answered.then((going) => going && call.end(trailers)));
    },
    HalfDuplexCall: (call: DuplexCall) => {
      const requests: StreamingOutputCallRequest[] = [];
      call.on('data', (request: StreamingOutputCallRequest) => requests.push(request));
      call.on('end', async () => {
        for (const request of requests) if (!(await answerWith(call, request))) return;
        call.end();
      });
    },
  };
}

/** Sends the metadata back that the suite wants back: some now, some as trailers. */
function echo(call: { readonly metadata: Metadata; sendMetadata(metadata: Metadata): void }): Metadata {
  const [trailers, initial] = [new Metadata(), new Metadata()];
  for (const value of call.metadata.get(ECHO_TRAILING)) trailers.add(ECHO_TRAILING, value);
  for (const value of call.metadata.get(ECHO_INITIAL)) initial.add(ECHO_INITIAL, value);
  if (initial.get(ECHO_INITIAL).length > 0) call.sendMetadata(initial);
  return trailers;
}

function isFailure(status: EchoStatus | undefined | null): status is EchoStatus {
  return status !== undefined && status !== null && status.code !== 0;
}

/** Writes the messages that `request` asks for as fast as they are taken; false when the call is over. */
async function answerWith(call: OutputCall, request: StreamingOutputCallRequest): Promise<boolean> {
  if (isFailure(request.responseStatus)) {
    const { code, message: details } = request.responseStatus;
    call.emit('error', { code, details });
    return false;
  }
  for (const { size, intervalUs = 0 } of request.responseParameters ?? []) {
    if (intervalUs > 0) await new Promise((resolve) => setTimeout(resolve, intervalUs / 1000));
    if (call.cancelled) return false;
    if (call.write({ payload: zeros(size) })) continue;
    await Promise.race([once(call, 'drain'), once(call, 'cancelled'), once(call, 'close')]);
  }
  return !call.cancelled;
}

function zeros(size: number) {
  return { type: 'COMPRESSABLE', body: Buffer.alloc(size) };
}
