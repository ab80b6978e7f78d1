import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { seeded } from '../../../test/fixture/seeded.ts';
import { Field } from '../../http/field.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';

const HEADERS = 1;
const SETTINGS = 4;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const HEADER_TABLE_SIZE = 1;
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;

const LIMITS = { tableBytes: 4096, listBytes: 65_536, fields: 100 };
const SIZES = [0, 100, 400, 1500, 4096];

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A server of frames by hand that answers each request with its own fields, by way of our codec. */
class Echo {
  /** Bytes of the lists and of the blocks that came. */
  listed = 0;
  coded = 0;
  resized = 0;
  private readonly socket: Duplex;
  private readonly decoder = new HpackDecoder(LIMITS);
  private readonly encoder = new HpackEncoder();
  private pending = Buffer.alloc(0);
  private readonly target = Buffer.alloc(65_536);

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.once('data', (first: Buffer) => {
      socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
      this.read(first.subarray(PREFACE_BYTES));
      socket.on('data', (bytes: Buffer) => this.read(bytes));
    });
  }

  resize(bytes: number): void {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(HEADER_TABLE_SIZE, 0);
    payload.writeUInt32BE(bytes, 2);
    this.socket.write(frame(SETTINGS, 0, 0, payload));
  }

  private read(bytes: Buffer): void {
    this.pending = Buffer.concat([this.pending, bytes]);
    while (this.pending.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.pending.readUIntBE(0, 3);
      if (this.pending.length < end) return;
      const [head, payload] = [this.pending, this.pending.subarray(FRAME_HEAD_BYTES, end)];
      this.pending = this.pending.subarray(end);
      if (head[3] === HEADERS) this.answer(head.readUInt32BE(5), head.readUInt8(4), payload);
      if (head[3] === SETTINGS && head[4] !== ACK) this.settings(payload);
    }
  }

  private settings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== HEADER_TABLE_SIZE) continue;
      this.encoder.setMaxTableBytes(payload.readUInt32BE(at + 2));
    }
    this.socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
  }

  private answer(stream: number, flags: number, block: Buffer): void {
    assert.equal(flags, END_STREAM | END_HEADERS);
    const fields: Field[] = [];
    assert.equal(this.decoder.decode(block, 0, block.length, fields), 'ok');
    this.coded += block.length;
    if (((block[0] as number) & 0xe0) === 0x20) this.resized++; // a block is not empty
    let at = this.encoder.begin(this.target, 0);
    at = this.encoder.encode(new Field(':status', '200'), this.target, at);
    for (const field of fields) {
      this.listed += field.name.length + field.value.length;
      // What is a pseudo-header of requests is none of responses.
      const echoed = field.name.startsWith(':') ? new Field(`x-${field.name.slice(1)}`, field.value) : field;
      at = this.encoder.encode(echoed, this.target, at);
    }
    this.socket.write(frame(HEADERS, END_STREAM | END_HEADERS, stream, this.target.subarray(0, at)));
  }
}

async function connectedEcho() {
  const [near, far] = duplexPair();
  const echo = new Echo(far);
  const session = http2.connect('http://echo.test', { createConnection: () => near });
  await once(session, 'remoteSettings');
  return { session, echo };
}

async function answerOf(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders) {
  const request = session.request(headers);
  const [response] = (await once(request, 'response')) as [http2.IncomingHttpHeaders];
  request.resume();
  return response;
}

function randomHeaders(random: () => number): Record<string, string> {
  const below = (most: number) => Math.floor(random() * most);
  const headers: Record<string, string> = {
    ':path': random() < 0.5 ? '/orders' : `/orders/${below(1e6)}`,
    'user-agent': 'test/1.0',
    accept: '*/*',
    authorization: `Bearer ${'token'.repeat(5)}${below(3)}`,
  };
  for (let i = below(8); i > 0; i--)
    headers[`x-name-${below(12)}`] = `value ${below(30)}${'\xe9~'.repeat(below(20))}`;
  if (random() < 0.2) headers[`x-long-${below(5)}`] = 'long '.repeat(below(400)).trim();
  if (random() < 0.3) headers[`x-new-${below(1e6)}`] = `${below(1e6)}`;
  return headers;
}

test('requests of node:http2 come back to it by our codec, while tables fill, evict and change size', async () => {
  const random = seeded(2015);
  const { session, echo } = await connectedEcho();
  for (let round = 0; round < 80; round++) {
    const size = SIZES[Math.floor(random() * SIZES.length)] as number;
    if (random() < 0.15) echo.resize(size);
    if (random() < 0.15) session.settings({ headerTableSize: size });
    const sent = Array.from({ length: 10 }, () => randomHeaders(random));
    const answers = await Promise.all(sent.map((headers) => answerOf(session, headers)));
    sent.forEach(({ ':path': path, ...headers }, i) => {
      const answer = answers[i] as http2.IncomingHttpHeaders; // as many as were sent
      for (const [name, value] of Object.entries({ ...headers, 'x-path': path })) {
        assert.equal(answer[name], value, name);
      }
    });
  }
  session.destroy();
  assert.ok(echo.coded < echo.listed * 0.7, `${echo.coded} bytes for ${echo.listed}: its table was used`);
  assert.ok(echo.resized > 3, `it told ${echo.resized} sizes`);
});

test('what node:http2 marks as sensitive is so for us, and stays so', async () => {
  const { session } = await connectedEcho();
  for (let i = 0; i < 3; i++) {
    const answer = await answerOf(session, {
      'x-key': 'k',
      'x-open': 'o',
      [http2.sensitiveHeaders]: ['x-key'],
    });
    assert.equal(answer['x-key'], 'k');
    // @types/node knows the symbol in headers that are sent only.
    assert.deepEqual(Reflect.get(answer, http2.sensitiveHeaders), ['x-key']);
  }
  session.destroy();
});
