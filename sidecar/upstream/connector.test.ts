import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { rawBackend } from '../../test/fixture/backend.ts';
import { until } from '../../test/fixture/wait.ts';
import { type Connector, failing, plainConnector, refusingConnector, splitAddress } from './connector.ts';

const READ_NOTHING = { buffer: new Uint8Array(1024), callback: () => true };

/** What becomes of a socket that a connector opens. */
async function opened(context: TestContext, connector: Connector): Promise<string> {
  const socket = connector.open(READ_NOTHING);
  context.after(() => socket.destroy());
  const state = { word: '' };
  socket.once(connector.readyEvent, () => {
    state.word = 'ready';
  });
  socket.once('error', (error: NodeJS.ErrnoException) => {
    state.word = error.code ?? error.message;
  });
  await until('word of the socket', () => state.word !== '');
  return state.word;
}

test('an address is taken apart at its last colon, brackets of IPv6 cut off', () => {
  assert.deepEqual(splitAddress('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(splitAddress('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(splitAddress('orders.shop:0'), { host: 'orders.shop', port: 0 });
});

test('what is no address is refused by name', () => {
  for (const address of [
    '',
    'orders',
    '8080',
    'a:b',
    'a:-1',
    'a:65536',
    'a:1.5',
    '[::1]',
    'a:',
    'a: 80',
    'a:0x50',
    ':80',
  ])
    assert.throws(() => splitAddress(address), {
      name: 'TypeError',
      message: `"${address}" is not HOST:PORT, like 127.0.0.1:8080 or [::1]:8080`,
    });
  assert.throws(() => plainConnector('nowhere'), TypeError);
});

test('plain TCP connects, and takes any peer', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const connector = plainConnector(backend.address);
  assert.equal(await opened(context, connector), 'ready');
  assert.equal(connector.verify(new Socket()), undefined);
});

test('plain TCP to a port where nobody listens fails', async (context) => {
  const backend = await rawBackend(() => {});
  backend.close();
  assert.equal(await opened(context, plainConnector(backend.address)), 'ECONNREFUSED');
});

test('a refusing connector opens nothing, and says why', async (context) => {
  const connector = refusingConnector('there is no certificate yet');
  assert.equal(await opened(context, connector), 'there is no certificate yet');
  assert.equal(connector.verify(new Socket()), 'there is no certificate yet');
});

test('a failing socket fails after its caller has begun to listen, and closes', async () => {
  const socket = failing('why');
  const events: string[] = [];
  socket.on('error', ({ message }) => events.push(message));
  socket.on('close', () => events.push('closed'));
  await until('the end', () => events.includes('closed'));
  assert.deepEqual(events, ['why', 'closed']);
});
