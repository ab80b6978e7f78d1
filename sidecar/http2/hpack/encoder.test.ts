import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from '../../http/field.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** The block of these fields in hex. */
function block(encoder: HpackEncoder, ...fields: Field[]): string {
  const target = Buffer.alloc(64 * 1024);
  let at = encoder.begin(target, 0);
  for (const field of fields) at = encoder.encode(field, target, at);
  return target.toString('hex', 0, at);
}

function once(encoder: HpackEncoder, name: string, value: string): string {
  const target = Buffer.alloc(1024);
  return target.toString('hex', 0, encoder.encodeOnce(name, value, target, encoder.begin(target, 0)));
}

const hex = (value: string) => Buffer.from(value, 'latin1').toString('hex');
/** The first byte of a block of one field: how it was represented. */
const representation = (text: string) => Number.parseInt(text.slice(0, 2), 16);
const isIndexed = (text: string) => representation(text) >= 0x80;
const isKept = (text: string) => representation(text) >> 6 === 1;

test('each field of the static table is one byte, also as another object', () => {
  const encoder = new HpackEncoder();
  STATIC_FIELDS.forEach((field, i) => {
    if (field.name === 'cookie' || field.name.includes('authorization')) return; // short secrets
    const index = (0x80 | (i + 1)).toString(16);
    assert.equal(block(encoder, new Field(field.name, field.value)), index);
    assert.equal(block(encoder, field, field), index + index);
  });
});

test('the first field of a name is kept, so that the next has its index', () => {
  const encoder = new HpackEncoder();
  const tenant = new Field('x-tenant', 'acme');
  assert.ok(isKept(block(encoder, tenant)));
  assert.equal(block(encoder, tenant, new Field('x-tenant', 'acme')), 'bebe');
  assert.equal(block(encoder, new Field('x-tenant', 'b')), `0f2f01${hex('b')}`);
});

test('a path is kept when it comes a second time', () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 10; i++) {
    assert.equal(block(encoder, new Field(':path', `/?${i}`)), `0403${hex(`/?${i}`)}`);
  }
  const again = block(encoder, new Field(':path', '/?3'));
  assert.ok(isKept(again));
  assert.equal(block(encoder, new Field(':path', '/?3')), 'be');
});

test('what is kept is in Huffman code where that is shorter', () => {
  assert.equal(
    block(new HpackEncoder(), new Field('custom-key', 'custom-value')),
    '408825a849e95ba97d7f8925a849e95bb8e8b4bf',
  );
  assert.equal(block(new HpackEncoder(), new Field('~~', '\xff')), `4002${hex('~~')}01ff`);
});

test('sensitive fields and short secrets are never indexed, on no hop', () => {
  const encoder = new HpackEncoder();
  const secrets = [
    new Field('x-key', 'k', true),
    new Field(':path', '/', true),
    new Field('authorization', 'Basic YTpi'),
    new Field('proxy-authorization', 'Basic YTpi'),
    new Field('cookie', 'id=1'),
  ];
  for (const secret of secrets) {
    for (let i = 0; i < 3; i++) {
      const text = block(encoder, secret);
      assert.equal(representation(text) >> 4, 1, secret.name);
      const fields: Field[] = [];
      const bytes = Buffer.from(text, 'hex');
      const decoder = new HpackDecoder({ tableBytes: 4096, listBytes: 4096, fields: 1 });
      assert.equal(decoder.decode(bytes, 0, bytes.length, fields), 'ok');
      assert.deepEqual(fields, [new Field(secret.name, secret.value, true)]);
    }
  }
});

test('a sensitive field is not told by the index of a kept one of the same texts', () => {
  const encoder = new HpackEncoder();
  block(encoder, new Field('x-key', 'k'));
  assert.equal(block(encoder, new Field('x-key', 'k', true)), `1f2f01${hex('k')}`);
});

test('long secrets are kept when they come again', () => {
  const encoder = new HpackEncoder();
  const token = new Field('authorization', 'Bearer abcdefghijklmnop');
  assert.ok(!isKept(block(encoder, token)));
  assert.ok(isKept(block(encoder, token)));
  assert.ok(isIndexed(block(encoder, token)));
});

test('values of more than a quarter of the table are not kept', () => {
  const encoder = new HpackEncoder();
  const [large, larger] = [1024, 1025].map((length) => new Field(`x-${length}`, 'v'.repeat(length)));
  assert.ok(isKept(block(encoder, large as Field)));
  for (let i = 0; i < 3; i++) assert.ok(!isKept(block(encoder, larger as Field)));
});

test('what is encoded once goes into no table, and has the index of its name', () => {
  const encoder = new HpackEncoder();
  assert.equal(once(encoder, 'date', 'now'), `0f1203${hex('now')}`);
  assert.equal(once(encoder, 'x-id', '1'), once(encoder, 'x-id', '1'));
  assert.equal(once(encoder, 'x-id', '1'), `0004${hex('x-id')}01${hex('1')}`);
  block(encoder, new Field('x-id', '0'));
  assert.equal(once(encoder, 'x-id', '1'), `0f2f01${hex('1')}`);
});

test('a new size of the table is told once, at the begin of the next block', () => {
  const encoder = new HpackEncoder();
  assert.equal(block(encoder, new Field(':path', '/')), '84');
  encoder.setMaxTableBytes(256);
  assert.equal(block(encoder, new Field(':path', '/')), '3fe10184');
  assert.equal(block(encoder, new Field(':path', '/')), '84');
});

test('of sizes that changed between two blocks the least and the last are told', () => {
  const encoder = new HpackEncoder();
  encoder.setMaxTableBytes(0);
  encoder.setMaxTableBytes(2000);
  encoder.setMaxTableBytes(256);
  assert.equal(block(encoder), '203fe101');
});

test('a table of no bytes keeps nothing', () => {
  const encoder = new HpackEncoder();
  const field = new Field('a', 'b');
  block(encoder, field);
  encoder.setMaxTableBytes(0);
  for (const begin of ['20', '', '']) assert.equal(block(encoder, field), `${begin}000161${'0162'}`);
  for (let i = 0; i < 3; i++) assert.ok(!isKept(block(encoder, new Field('a', ''))));
});

test('no more than 16 KiB are used of what the peer offers', () => {
  const encoder = new HpackEncoder();
  encoder.setMaxTableBytes(2 ** 32 - 1);
  assert.equal(block(encoder), '3fe17f');
  encoder.setMaxTableBytes(65_536);
  assert.equal(block(encoder), '3fe17f', 'a reduction is told even when it changes nothing for us');
  encoder.setMaxTableBytes(65_537);
  assert.equal(block(encoder), '');
});
