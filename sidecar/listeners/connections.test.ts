import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { answeringHost } from '../../test/fixture/answering-host.ts';
import { rawClient } from '../../test/fixture/client.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { Transport } from '../transport/transport.ts';
import { accept, serveHttp1 } from './accept.ts';
import { Connections } from './connections.ts';

/** A listener whose connections are kept in `connections`. */
async function listening(context: TestContext) {
  const clock = leapingClock(context);
  const host = answeringHost(clock.wheel);
  const connections = new Connections();
  const acceptor = await accept('127.0.0.1:0', (socket) => {
    connections.add(
      serveHttp1(
        host,
        DEFAULT_LIMITS,
        (reader) => Transport.adopt(reader, socket),
        () => {},
      ),
    );
  });
  context.after(() => {
    acceptor.stop();
    connections.destroy();
  });
  return {
    connections,
    host,
    clock,
    async client() {
      const client = await rawClient(acceptor.address);
      context.after(() => client.close());
      return client;
    },
  };
}

/** Something else than HTTP that is open. */
class Tunnel extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

/** Begins a drain and says later whether it is over. */
function draining(connections: Connections, limitMs: number): { over: boolean } {
  const state = { over: false };
  void connections.drain(limitMs).then(() => {
    state.over = true;
  });
  return state;
}

test('connections count while they are open, tunnels too', async (context) => {
  const { connections, client } = await listening(context);
  const [one] = [await client(), await client()];
  const tunnel = new Tunnel();
  connections.addTunnel(tunnel);
  await until('both connections', () => connections.count === 3);
  one.close();
  await until('one is gone', () => connections.count === 2);
  tunnel.destroy();
  assert.equal(connections.count, 1);
});

test('a drain of nothing is over at once', async () => {
  await new Connections().drain(60_000);
});

test('a drain closes idle connections at once', async (context) => {
  const { connections, client } = await listening(context);
  const fresh = await client();
  const used = await client();
  used.send('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  await used.expect('path /a');
  await until('both connections', () => connections.count === 2);
  const drain = draining(connections, 60_000);
  assert.equal(await fresh.untilEnd(), '');
  await used.untilEnd();
  fresh.close();
  used.close();
  await until('the end of the drain', () => drain.over);
  assert.equal(connections.count, 0);
});

test('a drain waits for a request in flight, whose response says that the connection ends', async (context) => {
  const { connections, host, client } = await listening(context);
  const busy = await client();
  busy.send('GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the request', () => host.held === 1);
  const other = await client();
  await until('both connections', () => connections.count === 2);
  const drain = draining(connections, 60_000);
  await other.untilEnd();
  other.close();
  await until('the idle one is gone', () => connections.count === 1);
  assert.deepEqual([drain.over, busy.ended], [false, false]);
  host.release();
  assert.match(await busy.untilEnd(), /^HTTP\/1\.1 404 .*\r\nconnection: close\r\n.*path \/held/s);
  busy.close();
  await until('the end of the drain', () => drain.over);
});

test('a drain waits for a tunnel', async () => {
  const connections = new Connections();
  const tunnel = new Tunnel();
  connections.addTunnel(tunnel);
  const drain = draining(connections, 60_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([drain.over, tunnel.destroyed], [false, false]);
  tunnel.emit('close');
  await until('the end of the drain', () => drain.over);
});

test('a drain does not wait longer than its limit, then all that is left is closed', async (context) => {
  const { connections, host, clock, client } = await listening(context);
  const busy = await client();
  busy.send('GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the request', () => host.held === 1);
  const tunnel = new Tunnel();
  connections.addTunnel(tunnel);
  const drain = draining(connections, 60_000);
  clock.leap(59_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([drain.over, tunnel.destroyed], [false, false]);
  clock.leap(2_000);
  await until('the end of the drain', () => drain.over);
  assert.equal(tunnel.destroyed, true);
  assert.equal(await busy.untilEnd(), '');
});

test('a connection that comes during a drain is closed at once', async (context) => {
  const { connections, host, client } = await listening(context);
  const busy = await client();
  busy.send('GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the request', () => host.held === 1);
  const drain = draining(connections, 60_000);
  const late = await client();
  assert.equal(await late.untilEnd(), '');
  late.close();
  host.release();
  await busy.untilEnd();
  busy.close();
  await until('the end of the drain', () => drain.over);
});

test('a socket that has said nothing yet is not waited for, and closed at the end of a drain', async () => {
  const connections = new Connections();
  const silent = new Tunnel();
  const arrivedOne = new Tunnel();
  connections.addArriving(silent);
  const arrived = connections.addArriving(arrivedOne);
  arrived();
  assert.equal(connections.count, 0);
  await connections.drain(60_000);
  assert.deepEqual([silent.destroyed, arrivedOne.destroyed], [true, false]);
});

test('who arrives is asked at the begin of a drain whether it has said anything', async () => {
  const connections = new Connections();
  const told: string[] = [];
  connections.addArriving({ drain: () => void told.push('drain'), destroy: () => void told.push('destroy') });
  await connections.drain(60_000);
  assert.deepEqual(told, ['drain', 'destroy']);
});

test('what is destroyed is closed whatever it does', async (context) => {
  const { connections, host, client } = await listening(context);
  const busy = await client();
  busy.send('GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the request', () => host.held === 1);
  const [tunnel, silent] = [new Tunnel(), new Tunnel()];
  connections.addTunnel(tunnel);
  connections.addArriving(silent);
  connections.destroy();
  assert.deepEqual([tunnel.destroyed, silent.destroyed], [true, true]);
  assert.equal(await busy.untilEnd(), '');
  await until('nothing is open', () => connections.count === 0);
});

test('a workload that is about to end has its clients go elsewhere, and no request of theirs is lost', async (context) => {
  const { connections, client } = await listening(context);
  const kept = await client();
  kept.send('GET /first HTTP/1.1\r\nhost: a\r\n\r\n');
  await until('the first response', () => kept.text.includes('\r\n\r\n'));
  assert.doesNotMatch(kept.text, /connection: close/i);
  connections.leave();
  await turn();
  assert.equal(kept.ended, false, 'an idle one is not closed: its client may be sending just now');
  kept.send('GET /second HTTP/1.1\r\nhost: a\r\n\r\n');
  await until('the end after the second response', () => kept.ended);
  assert.match(kept.text, /connection: close/i);
  const late = await client();
  late.send('GET /third HTTP/1.1\r\nhost: a\r\n\r\n');
  await until('the end of one that came later', () => late.ended);
  assert.match(late.text, /^HTTP\/1\.1 404[\s\S]*connection: close/i);
});
