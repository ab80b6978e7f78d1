import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../test/fixture/seeded.ts';
import { Field } from '../../http/field.ts';
import { HpackDecoder, type HpackLimits } from './decoder.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { writeInteger } from './integer.ts';

const LIMITS: HpackLimits = { tableBytes: 4096, listBytes: 16_384, fields: 100 };

function decode(decoder: HpackDecoder, hex: string) {
  const bytes = Buffer.from(`ee${hex}ee`, 'hex');
  const fields: Field[] = [];
  const verdict = decoder.decode(bytes, 1, bytes.length - 1, fields);
  return { verdict, fields, pairs: fields.map(({ name, value }) => `${name}: ${value}`) };
}

const verdictOf = (hex: string, limits = LIMITS) => decode(new HpackDecoder(limits), hex).verdict;
const text = (value: string) => Buffer.from([value.length, ...Buffer.from(value, 'latin1')]).toString('hex');

test('RFC 7541 appendix C.2: one field in each representation', () => {
  const examples = {
    '400a637573746f6d2d6b65790d637573746f6d2d686561646572': new Field('custom-key', 'custom-header'),
    '040c2f73616d706c652f70617468': new Field(':path', '/sample/path'),
    '100870617373776f726406736563726574': new Field('password', 'secret', true),
    '82': new Field(':method', 'GET'),
  };
  for (const [hex, field] of Object.entries(examples)) {
    const { verdict, fields } = decode(new HpackDecoder(LIMITS), hex);
    assert.equal(verdict, 'ok');
    assert.deepEqual(fields, [field]);
  }
});

const REQUESTS = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ],
];
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const RESPONSES = [
  ['302', '21', []],
  ['307', '21', []],
  ['200', '22', ['content-encoding: gzip', `set-cookie: ${COOKIE}`]],
].map(([status, second, more]) => [
  `:status: ${status}`,
  'cache-control: private',
  `date: Mon, 21 Oct 2013 20:13:${second} GMT`,
  'location: https://www.example.com',
  ...(more as string[]),
]);

/** Three blocks in a row each. Responses are for a table of 256 bytes, so that entries are evicted. */
const SEQUENCES = {
  'C.3': {
    lists: REQUESTS,
    blocks: [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
  },
  'C.4': {
    lists: REQUESTS,
    blocks: [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
  },
  'C.5': {
    lists: RESPONSES,
    blocks: [
      '3fe1014803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
    ],
  },
  'C.6': {
    lists: RESPONSES,
    blocks: [
      '3fe101488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
  },
};

for (const [section, { lists, blocks }] of Object.entries(SEQUENCES)) {
  test(`RFC 7541 appendix ${section}: three blocks in a row`, () => {
    const decoder = new HpackDecoder(LIMITS);
    blocks.forEach((block, i) => {
      const { verdict, pairs } = decode(decoder, block);
      assert.equal(verdict, 'ok');
      assert.deepEqual(pairs, lists[i]);
    });
  });
}

test('after C.5 the table holds what the RFC says, and no more', () => {
  const decoder = new HpackDecoder(LIMITS);
  for (const block of SEQUENCES['C.5'].blocks) decode(decoder, block);
  assert.deepEqual(decode(decoder, 'bebfc0').pairs, [
    `set-cookie: ${COOKIE}`,
    'content-encoding: gzip',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
  ]);
  assert.equal(decode(decoder, 'c1').verdict, 'malformed');
});

test('an entry is the same object each time, and for all connections', () => {
  const insertion = `40${text('x-tenant')}${text('acme')}`;
  const [one, other] = [new HpackDecoder(LIMITS), new HpackDecoder(LIMITS)];
  const first = decode(one, insertion).fields[0];
  assert.equal(decode(one, 'be').fields[0], first);
  assert.equal(decode(other, `${insertion}be`).fields[1], first);
  assert.equal(decode(one, '82').fields[0], decode(other, '82').fields[0]);
});

test('texts of which one could pass for another are kept apart', () => {
  const decoder = new HpackDecoder(LIMITS);
  assert.deepEqual(decode(decoder, `40${text('ab')}${text('c')}40${text('a')}${text('bc')}`).pairs, [
    'ab: c',
    'a: bc',
  ]);
});

test('an entry larger than the table empties it and is handed out', () => {
  const decoder = new HpackDecoder({ ...LIMITS, tableBytes: 64 });
  const { verdict, pairs } = decode(
    decoder,
    `3f2140${text('a')}${text('b')}40${text('n'.repeat(20))}${text('v'.repeat(20))}`,
  );
  assert.equal(verdict, 'ok');
  assert.equal(pairs.length, 2);
  assert.equal(decode(decoder, 'be').verdict, 'malformed');
});

test('a long text in Huffman code comes whole', () => {
  const value = 'abc '.repeat(2000);
  const bytes = Buffer.alloc(8000);
  const length = huffmanEncode(value, bytes, writeInteger(huffmanLength(value), 0x7f, 0x80, bytes, 1));
  bytes[0] = 0x04;
  const fields: Field[] = [];
  assert.equal(new HpackDecoder(LIMITS).decode(bytes, 0, length, fields), 'ok');
  assert.deepEqual(fields, [new Field(':path', value)]);
});

test('malformed blocks are refused', () => {
  const blocks = {
    'index 0': '80',
    'an index beyond an empty dynamic table': 'be',
    'an index far beyond the tables': 'ffffffff07',
    'an index that overflows': 'ffffffffffff7f',
    'an index that is cut off': 'ff',
    'the name of an entry that is not there': `7e${text('v')}`,
    'a name that is cut off': '0005616263',
    'a literal without a value': `00${text('a')}`,
    'a value that is cut off': '040561',
    'a length that is cut off': '047f80',
    'a length that overflows': '047fffffffffff7f',
    'a size above our setting': '3fe21f',
    'a size that overflows': '3fffffffffff7f',
    'a size after a field': `8220${text('a')}${text('b')}`,
    'Huffman code with EOS': '0484ffffffff',
    'Huffman code with a padding of zeros': '048118',
    'Huffman code with a long padding': '04821fff',
  };
  for (const [name, hex] of Object.entries(blocks)) assert.equal(verdictOf(hex), 'malformed', name);
});

test('sizes up to our setting are taken at the begin of a block, more than one too', () => {
  const decoder = new HpackDecoder(LIMITS);
  decode(decoder, `40${text('a')}${text('b')}`);
  assert.equal(decode(decoder, 'be').verdict, 'ok');
  assert.equal(decode(decoder, '203fe11f82').verdict, 'ok');
  assert.equal(decode(decoder, 'be').verdict, 'malformed', 'the lesser size emptied the table');
});

test('a list that is too large is cut, and the next block can be read', () => {
  const decoder = new HpackDecoder({ ...LIMITS, listBytes: 100 });
  const big = decode(decoder, `8240${text('a')}${text('v'.repeat(60))}40${text('b')}${text('w')}`);
  assert.equal(big.verdict, 'list-too-large');
  assert.deepEqual(big.pairs, [':method: GET']);
  assert.deepEqual(decode(decoder, 'be').pairs, ['b: w']);
});

test('a list of too many fields is cut, and the next block can be read', () => {
  const decoder = new HpackDecoder({ ...LIMITS, fields: 2 });
  const long = decode(decoder, `828684 40${text('b')}${text('w')}`.replace(' ', ''));
  assert.equal(long.verdict, 'too-many-fields');
  assert.deepEqual(long.pairs, [':method: GET', ':scheme: http']);
  assert.deepEqual(decode(decoder, 'be').pairs, ['b: w']);
});

test('many references to one large entry are a bomb', () => {
  const length = 4000;
  const entry = Buffer.concat([
    Buffer.from('4001617fa11e', 'hex'), // a value of 4000 bytes: 127 + 33 + 30 * 128
    Buffer.alloc(length, 'v'),
  ]);
  const bytes = Buffer.concat([entry, Buffer.alloc(10_000, 0xbe)]);
  const fields: Field[] = [];
  assert.equal(new HpackDecoder(LIMITS).decode(bytes, 0, bytes.length, fields), 'bomb');
  assert.ok(fields.length <= LIMITS.listBytes / length, `${fields.length} fields were handed out`);
});

test('a text of many times the limit is a bomb, plain or not', () => {
  for (const first of [0x7f, 0xff]) {
    const bytes = Buffer.concat([Buffer.from([0x04, first, 0x81, 0xff, 0x07]), Buffer.alloc(200_000)]);
    assert.equal(new HpackDecoder(LIMITS).decode(bytes, 0, bytes.length, []), 'bomb');
  }
});

test('random bytes get a verdict, and a list within the limits', () => {
  const random = seeded(9113);
  const limits = { tableBytes: 512, listBytes: 320, fields: 6 };
  const verdicts = new Set<string>();
  let decoder = new HpackDecoder(limits);
  for (let i = 0; i < 30_000; i++) {
    const length = Math.floor(random() * 60);
    const bytes = Buffer.from(Array.from({ length }, () => likelyByte(random)));
    const fields: Field[] = [];
    const verdict = decoder.decode(bytes, 0, length, fields);
    verdicts.add(verdict);
    assert.ok(fields.length <= limits.fields);
    const size = fields.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
    assert.ok(size <= limits.listBytes);
    if (verdict === 'malformed' || verdict === 'bomb') decoder = new HpackDecoder(limits);
  }
  assert.deepEqual([...verdicts].sort(), ['bomb', 'list-too-large', 'malformed', 'ok', 'too-many-fields']);
});

/** Random bytes alone seldom come far: most are indexes, or short lengths. */
function likelyByte(random: () => number): number {
  const kind = random();
  if (kind < 0.8) return 0x81 + Math.floor(random() * 62);
  if (kind < 0.95) return Math.floor(random() * 8) | (kind < 0.9 ? 0x40 : 0);
  return Math.floor(random() * 256);
}
