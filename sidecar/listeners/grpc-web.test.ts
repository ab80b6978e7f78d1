import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import type { Downstream } from '../http/downstream.ts';
import { Field } from '../http/field.ts';
import { Base64Decoder, GrpcWebDownstream, grpcWebOf } from './grpc-web.ts';

function requestOf(type: string) {
  return headOf(
    'request',
    `POST /a.B/C HTTP/1.1\r\nHost: h\r\nContent-Type: ${type}\r\nContent-Length: 0\r\n\r\n`,
  );
}

for (const [type, kind] of [
  ['application/grpc-web', { text: false, suffix: '' }],
  ['application/grpc-web+proto', { text: false, suffix: '+proto' }],
  ['application/grpc-web-text', { text: true, suffix: '' }],
  ['Application/gRPC-Web-Text+proto; charset=utf-8', { text: true, suffix: '+proto' }],
  ['application/grpc', undefined],
  ['application/grpc-webby', undefined],
  ['text/plain', undefined],
] as const) {
  test(`content type ${type} is ${kind === undefined ? 'no gRPC-Web' : 'gRPC-Web'}`, () => {
    assert.deepEqual(grpcWebOf(requestOf(type)), kind);
  });
}

/** What a translated response comes to on the wire. */
function answered(text: boolean, act: (downstream: Downstream) => void) {
  const seen = { fields: '', body: Buffer.alloc(0), ended: 0, trailers: 0, aborted: 0 };
  const inner = {
    respond: (_head: unknown, added: string) => {
      seen.fields += added;
    },
    respondLocally: (_status: number, fields: string) => {
      seen.fields += fields;
    },
    responseData: (_source: unknown, bytes: Buffer, start: number, end: number) => {
      seen.body = Buffer.concat([seen.body, bytes.subarray(start, end)]);
      return true;
    },
    responseEnd: (trailers: readonly Field[] | undefined) => {
      seen.ended++;
      if (trailers !== undefined) seen.trailers++;
    },
    abort: () => seen.aborted++,
  } as unknown as Downstream; // no more of it is used
  act(new GrpcWebDownstream(inner, { text, suffix: '+proto' }));
  return seen;
}

/** A response of this type, and of five bytes. */
function ok(type = 'application/grpc') {
  return headOf('response', `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: 5\r\n\r\n`);
}

const TRAILERS = [new Field('grpc-status', '5'), new Field('grpc-message', 'not%20here')];
const LINES = 'grpc-status: 5\r\ngrpc-message: not%20here\r\n';

test('trailers are the last frame of the body', () => {
  const [head, message] = [ok(), Buffer.from([0, 0, 0, 0, 0])];
  const seen = answered(false, (downstream) => {
    downstream.respond(head, '');
    downstream.responseData(undefined, message, 0, 5);
    downstream.responseEnd(TRAILERS);
  });
  assert.equal(seen.fields, 'content-type: application/grpc-web+proto\r\n');
  assert.equal(head.find('content-length', 0), -1, 'the body is longer than it was');
  const header = Buffer.from([0x80, 0, 0, 0, LINES.length]);
  assert.deepEqual(seen.body, Buffer.concat([message, header, Buffer.from(LINES)]));
  assert.deepEqual([seen.ended, seen.trailers], [1, 0]);
});

test('as text, all is base64', () => {
  const seen = answered(true, (downstream) => {
    downstream.respond(ok(), '');
    downstream.responseData(undefined, Buffer.from('x\0\0\0\0\x02abx'), 1, 8);
    downstream.responseEnd(TRAILERS);
  });
  assert.match(seen.fields, /^content-type: application\/grpc-web-text\+proto\r\n/);
  const decoded = new Base64Decoder().decode(seen.body, 0, seen.body.length).toString('latin1');
  assert.equal(decoded, `\0\0\0\0\x02ab\x80\0\0\0${String.fromCharCode(LINES.length)}${LINES}`);
});

test('trailers within a message cut the response: they would be taken for its rest', () => {
  for (const text of [false, true]) {
    const seen = answered(text, (downstream) => {
      downstream.respond(ok(), '');
      downstream.responseData(undefined, Buffer.from('\0\0\0\0\x02a'), 0, 6);
      downstream.responseEnd(TRAILERS);
    });
    assert.deepEqual([seen.aborted, seen.ended], [1, 0]);
  }
});

test('a response that is no gRPC passes as it is, with its trailers', () => {
  for (const text of [false, true]) {
    const head = ok('text/html');
    const seen = answered(text, (downstream) => {
      downstream.respond(head, 'x-added: 1\r\n');
      downstream.responseData(undefined, Buffer.from('<p>Hi'), 0, 5);
      downstream.responseEnd([new Field('etag', 'a')]);
    });
    assert.deepEqual([seen.fields, String(seen.body)], ['x-added: 1\r\n', '<p>Hi']);
    assert.deepEqual([seen.ended, seen.trailers, seen.aborted], [1, 1, 0]);
    assert.deepEqual([head.get('content-type'), head.get('content-length')], ['text/html', '5']);
  }
});

test('what Tulle answers itself has the content type of gRPC-Web', () => {
  const seen = answered(false, (downstream) =>
    downstream.respondLocally(200, 'content-type: application/grpc\r\ngrpc-status: 14\r\n', ''),
  );
  assert.equal(seen.fields, 'content-type: application/grpc-web+proto\r\ngrpc-status: 14\r\n');
});

test('base64 is decoded in pieces of any length, with padding in the middle', () => {
  const text = Buffer.from(`${btoa('hello')}${btoa('to')}${btoa('you all')}`, 'latin1');
  for (let size = 1; size <= text.length; size++) {
    const decoder = new Base64Decoder();
    let out = '';
    for (let at = 0; at < text.length; at += size)
      out += decoder.decode(text, at, Math.min(text.length, at + size)).toString();
    assert.equal(out, 'hellotoyou all', `pieces of ${size}`);
  }
});
