import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openOriginalDestination } from './original-destination.ts';

/** A connection that nobody redirected, as its server has it. */
async function accepted(context: TestContext, host: string): Promise<{ socket: Socket; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const client = connect(address.port, host === '::' ? '127.0.0.1' : host);
  const [socket] = (await once(server, 'connection')) as [Socket];
  context.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { socket, port: address.port };
}

// The first test: Node warns once a process.
test("Node's warning of FFI is not shown, any other is", async () => {
  const warnings: string[] = [];
  const hear = (warning: Error) => warnings.push(warning.message);
  process.on('warning', hear);
  openOriginalDestination();
  process.emitWarning('another');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', hear);
  assert.deepEqual(warnings, ['another']);
});

for (const [host, at, name] of [
  ['127.0.0.1', '127.0.0.1', 'IPv4'],
  ['::1', '::1', 'IPv6'],
  ['::', '127.0.0.1', 'IPv4 at a listener of both families'],
] as const) {
  test(`a connection that was not redirected has no other destination than the listener: ${name}`, async (context) => {
    const { socket, port } = await accepted(context, host);
    // Which of the two depends on whether the kernel tracks connections here.
    const found = openOriginalDestination()(socket);
    if (found !== undefined) assert.deepEqual(found, { host: at, port });
  });
}

test('a socket that is gone has none', async (context) => {
  const { socket } = await accepted(context, '127.0.0.1');
  const originalDestination = openOriginalDestination();
  socket.destroy();
  assert.equal(originalDestination(socket), undefined);
});

test('elsewhere than on Linux it is said at once', (context) => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor; // process has it
  context.after(() => Object.defineProperty(process, 'platform', platform));
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' });
  assert.throws(openOriginalDestination, /need Linux, and this is darwin/);
});

test('a Node without node:ffi is told what is needed', (context) => {
  context.mock.method(process, 'getBuiltinModule', () => undefined);
  assert.throws(openOriginalDestination, /need node:ffi, .* use Node 26\.10 or newer/);
});

test('a Node that may not use it is told which permission', (context) => {
  context.mock.method(process, 'getBuiltinModule', () => ({
    dlopen: () => {
      throw new Error('Access to this API has been restricted');
    },
  }));
  assert.throws(openOriginalDestination, /restricted; under the permission model run with --allow-ffi/);
});
