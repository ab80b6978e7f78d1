import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accept } from '../listeners/accept.ts';
import { reserveAddress } from './reserve-address.ts';

test('port 0 becomes a port that all can have, any other stays', async (context) => {
  const address = await reserveAddress('127.0.0.1:0');
  assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/);
  assert.equal(await reserveAddress(address), address);
  for (let i = 0; i < 2; i++) {
    const acceptor = await accept(address, (socket) => socket.destroy(), true);
    context.after(() => acceptor.stop());
  }
});

test('a second data plane by mistake does not get half of the connections of the first', async (context) => {
  const first = await accept('127.0.0.1:0', (socket) => socket.destroy(), true);
  context.after(() => first.stop());
  await assert.rejects(reserveAddress(first.address), {
    message: `cannot listen on ${first.address}: EADDRINUSE`,
  });
});
