import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../test/fixture/seeded.ts';
import { Field } from '../../http/field.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';

const NAMES = [':path', ':method', ':status', 'cookie', 'authorization', 'content-type', 'x-a', 'x-b', 'x-c'];
const SIZES = [0, 32, 64, 300, 1000, 4096, 8192, 16_384];
const LIMITS = { tableBytes: 16_384, listBytes: 100_000, fields: 100 };

/** Names and values of which some come again and again, some never. */
function randomField(random: () => number): Field {
  const below = (most: number) => Math.floor(random() * most);
  const name = random() < 0.9 ? (NAMES[below(NAMES.length)] as string) : `x-${below(10_000)}`;
  const length = random() < 0.05 ? below(3000) : below(30);
  const value =
    random() < 0.7
      ? `value ${below(40)}`
      : Array.from({ length }, () => String.fromCharCode(below(256))).join('');
  return new Field(name, value, random() < 0.05);
}

test('random lists come back over connections in a row, whatever the sizes of their tables', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seeded(seed);
    const hops = [1, 2, 3].map(() => ({ encoder: new HpackEncoder(), decoder: new HpackDecoder(LIMITS) }));
    for (let list = 0; list < 200; list++) {
      const sent = Array.from({ length: Math.floor(random() * 20) }, () => randomField(random));
      let fields = sent;
      for (const { encoder, decoder } of hops) {
        while (random() < 0.05) {
          encoder.setMaxTableBytes(SIZES[Math.floor(random() * SIZES.length)] as number);
        }
        fields = relayed(encoder, decoder, fields);
      }
      assert.deepEqual(fields.map(texts), sent.map(texts), `seed ${seed}, list ${list}`);
    }
  }
});

const texts = ({ name, value }: Field) => [name, value];

/** Encodes, each field within its room, and decodes. */
function relayed(encoder: HpackEncoder, decoder: HpackDecoder, fields: readonly Field[]): Field[] {
  const target = Buffer.alloc(100_000);
  let start = 0; // the first field's room is for the size updates too
  let at = encoder.begin(target, 0);
  fields.forEach((field, i) => {
    const { name, value } = field;
    const to = i % 7 === 3 ? encoder.encodeOnce(name, value, target, at) : encoder.encode(field, target, at);
    assert.ok(to - start <= HpackEncoder.room(field), 'there is room enough');
    start = to;
    at = to;
  });
  const into: Field[] = [];
  assert.equal(decoder.decode(target, 0, at, into), 'ok');
  return into;
}
