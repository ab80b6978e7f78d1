import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { OutgoingRequest } from '../http/upstream.ts';
import { needsChunks, requestText } from './request-text.ts';

function outgoing(head: MessageHead, changes: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const { method, target, upgrade } = head;
  return { head, method, target, fields: '', upgrade, decode: false, ...changes };
}

const stream = (parts: Parameters<typeof streamHead>[0]) =>
  streamHead({ method: 'GET', target: '/', authority: 'app', ...parts });

test('a request of HTTP/1.1 goes on with its own lines, what was added, and target and method as they are now', () => {
  const head = headOf('request', 'GET /a HTTP/1.1\r\nHost: app\r\nX-A: 1\r\nConnection: close\r\n\r\n');
  assert.equal(
    requestText(outgoing(head, { method: 'PUT', target: '/b?c', fields: 'x-b: 2\r\n' })),
    'PUT /b?c HTTP/1.1\r\nHost: app\r\nX-A: 1\r\nx-b: 2\r\n\r\n',
  );
});

test('HTTP/1.0 without Host gets an empty one, unless a host is added', () => {
  const head = headOf('request', 'GET / HTTP/1.0\r\nX-A: 1\r\n\r\n');
  assert.equal(requestText(outgoing(head)), 'GET / HTTP/1.1\r\nhost: \r\nX-A: 1\r\n\r\n');
  assert.equal(
    requestText(outgoing(head, { fields: 'x-b: 1\r\nHost: inner\r\n' })),
    'GET / HTTP/1.1\r\nX-A: 1\r\nx-b: 1\r\nHost: inner\r\n\r\n',
  );
});

test('a host that was taken out for another is written once, as the new one', () => {
  const ways: MessageHead[] = [
    headOf('request', 'GET / HTTP/1.1\r\nHost: app\r\n\r\n'),
    stream({ lines: [['host', 'app']] }),
  ];
  for (const head of ways) {
    head.remove('host');
    assert.equal(
      requestText(outgoing(head, { fields: 'host: inner\r\n' })),
      'GET / HTTP/1.1\r\nhost: inner\r\n\r\n',
    );
  }
});

test('the authority of HTTP/2 becomes Host, first of all lines; an attacker gives no second one', () => {
  const head = stream({
    lines: [
      ['x-a', '1'],
      ['host', 'evil'],
    ],
  });
  assert.equal(requestText(outgoing(head)), 'GET / HTTP/1.1\r\nhost: app\r\nx-a: 1\r\n\r\n');
});

test('a line whose name only ends in host is no Host', () => {
  const head = stream({});
  assert.match(
    requestText(outgoing(head, { fields: 'x-host: 1\r\nx: host: y\r\n' })),
    /^GET .*\r\nhost: app\r\n/,
  );
});

test('a body of HTTP/2 goes in chunks where its length is not known, and in no other case', () => {
  const head = stream({ method: 'POST', bodyLength: UNKNOWN_LENGTH });
  assert.equal(needsChunks(outgoing(head)), true);
  assert.equal(
    requestText(outgoing(head)),
    'POST / HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  const others: MessageHead[] = [
    stream({ bodyLength: 0 }),
    stream({ lines: [['content-length', '3']], bodyLength: 3 }),
    headOf('request', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n'),
    headOf('request', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n'),
  ];
  for (const other of others) {
    assert.equal(needsChunks(outgoing(other)), false);
    assert.ok(!requestText(outgoing(other)).includes('transfer-encoding'));
  }
  assert.match(requestText(outgoing(others[2] as MessageHead)), /\r\nTransfer-Encoding: chunked\r\n/); // it is there
});

test('an upgrade of HTTP/1.1 keeps its method and key, and is asked for anew', () => {
  const head = headOf(
    'request',
    'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
  );
  assert.equal(
    requestText(outgoing(head)),
    'GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
});

test('an extended CONNECT becomes a GET that upgrades, with a key of its own each time', () => {
  const parts = { method: 'CONNECT', target: '/ws', bodyLength: UNKNOWN_LENGTH, upgrade: 'websocket' };
  const keys = [1, 2].map(() => {
    const text = requestText(outgoing(stream(parts)));
    const match =
      /^GET \/ws HTTP\/1\.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: (\S+)\r\n\r\n$/.exec(
        text,
      );
    const key = match?.[1] ?? assert.fail(text);
    assert.equal(Buffer.from(key, 'base64').length, 16);
    return key;
  });
  assert.notEqual(keys[0], keys[1]);
});

test('an extended CONNECT for another protocol has no key of WebSocket', () => {
  const text = requestText(outgoing(stream({ method: 'CONNECT', upgrade: 'connect-udp' })));
  assert.equal(text, 'GET / HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: connect-udp\r\n\r\n');
});

test('an attacker who gives a length to an extended CONNECT does not announce a body in HTTP/1.1', () => {
  const lines = [['content-length', '5']] as const;
  const text = requestText(
    outgoing(stream({ method: 'CONNECT', upgrade: 'websocket', bodyLength: 5, lines })),
  );
  assert.ok(!/^content-length/im.test(text), text);
});

test('a client that gives a key to an extended CONNECT does not make two of it', () => {
  const lines = [['sec-websocket-key', 'mine']] as const;
  const text = requestText(outgoing(stream({ method: 'CONNECT', upgrade: 'websocket', lines })));
  assert.equal(text.match(/^sec-websocket-key/gim)?.length, 1);
});
