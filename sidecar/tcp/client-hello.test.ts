import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { capturedHello } from '../../test/fixture/captured-hello.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { looksLikeTls, readClientHello } from './client-hello.ts';

let real: Buffer = Buffer.alloc(0);
let bare: Buffer = Buffer.alloc(0);
before(async () => {
  real = await capturedHello({
    servername: 'orders.shop.example',
    ALPNProtocols: ['tulle/1+http/1.1', 'h2', 'http/1.1'],
  });
  bare = await capturedHello({});
});

test('SNI and ALPN of a real hello are read', () => {
  assert.deepEqual(readClientHello(real), {
    serverName: 'orders.shop.example',
    alpn: ['tulle/1+http/1.1', 'h2', 'http/1.1'],
  });
});

test('a real hello without SNI and ALPN has neither', () => {
  assert.deepEqual(readClientHello(bare), { serverName: undefined, alpn: [] });
});

test('a hello that is cut anywhere needs more, and bytes after it change nothing', () => {
  for (let length = 1; length < real.length; length++)
    assert.equal(readClientHello(real.subarray(0, length)), 'more', `${length} bytes`);
  const whole = readClientHello(real);
  assert.deepEqual(readClientHello(Buffer.concat([real, Buffer.from('more records')])), whole);
});

test('TLS is told by its first byte', () => {
  assert.ok(looksLikeTls(real[0]));
  for (const other of [undefined, 0, 'G'.charCodeAt(0), 0x15, 0x17, 0x80]) assert.ok(!looksLikeTls(other));
});

test('what is no hello is refused at once', () => {
  const changed = (at: number, ...bytes: number[]) => {
    const copy = Buffer.from(real);
    copy.set(bytes, at);
    return copy;
  };
  for (const [what, bytes] of [
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['an alert', changed(0, 0x15)],
    ['SSL 2', changed(1, 2)],
    ['a ServerHello', changed(5, 2)],
    ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
    ['a record that is too short for a handshake', Buffer.from([0x16, 3, 1, 0, 3, 1, 0, 0])],
    [
      'a hello that ends in its random',
      Buffer.concat([Buffer.from([0x16, 3, 1, 0, 20, 1]), Buffer.alloc(19)]),
    ],
  ] as const)
    assert.equal(readClientHello(bytes), undefined, what);
});

test('an attacker who announces a record that never ends is not waited for: it is too long at its header', () => {
  assert.equal(readClientHello(Buffer.from([0x16, 3, 1, 0xff, 0xff])), undefined);
  assert.equal(readClientHello(Buffer.from([0x16, 3, 1, 0x40, 0x01])), undefined);
  assert.equal(readClientHello(Buffer.from([0x16, 3, 1, 0x40, 0x00])), 'more');
});

test('an attacker whose lengths point past the end gets no answer, or no name', () => {
  for (let at = 5; at < real.length; at++) {
    const copy = Buffer.from(real);
    copy[at] = 0xff;
    const hello = readClientHello(copy);
    if (hello === undefined) continue;
    assert.ok(typeof hello === 'object', `byte ${at}`);
    assert.ok((hello.serverName?.length ?? 0) < real.length, `byte ${at}`);
  }
});

test('an attacker who changes a hello in any way makes nothing throw, and nothing longer than was sent', () => {
  const random = seeded(20);
  const below = (limit: number) => Math.floor(random() * limit);
  const mutations: ((bytes: Buffer) => Buffer)[] = [
    (bytes) => {
      bytes[below(bytes.length)] = below(256);
      return bytes;
    },
    (bytes) => {
      bytes[below(bytes.length)] = [0, 1, 0x7f, 0x80, 0xff][below(5)] ?? 0;
      return bytes;
    },
    (bytes) => bytes.subarray(0, below(bytes.length) + 1),
    (bytes) => {
      const at = below(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + below(40))]);
    },
    (bytes) => {
      const at = below(bytes.length);
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(Array.from({ length: below(40) }, () => below(256))),
        bytes.subarray(at),
      ]);
    },
    // The record's length fits what is left, so that what is wrong inside is looked into.
    (bytes) => {
      if (bytes.length > 9) bytes.writeUInt16BE(bytes.length - 5, 3);
      return bytes;
    },
  ];
  const seen = { hello: 0, more: 0, refused: 0 };
  for (let round = 0; round < 20_000; round++) {
    let bytes: Buffer = Buffer.from(random() < 0.9 ? real : bare);
    for (let count = 1 + below(4); count > 0; count--) bytes = (mutations[below(6)] ?? assert.fail())(bytes);
    if (bytes.length > 9 && random() < 0.7) bytes.writeUInt16BE(bytes.length - 5, 3);
    const hello = readClientHello(bytes);
    if (hello === undefined) seen.refused++;
    else if (hello === 'more') seen.more++;
    else {
      seen.hello++;
      const told = [hello.serverName ?? '', ...hello.alpn].join('');
      assert.ok(told.length <= bytes.length, `round ${round}`);
    }
  }
  assert.ok(Math.min(seen.hello, seen.more, seen.refused) > 500, JSON.stringify(seen));
});

test('garbage after a TLS byte makes nothing throw', () => {
  const random = seeded(21);
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(Array.from({ length: 5 + Math.floor(random() * 300) }, () => random() * 256));
    bytes.set([0x16, 3, 1], 0);
    bytes.writeUInt16BE(bytes.length - 5, 3);
    if (bytes.length > 5) bytes[5] = 1;
    const hello = readClientHello(bytes);
    assert.ok(hello === undefined || typeof hello === 'object');
  }
});
