import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineReader } from './line-reader.ts';

/** What a reader makes of some chunks. */
function readAll(chunks: readonly Buffer[], maxBytes = 100): { lines: string[]; tooLong: number } {
  const lines: string[] = [];
  let tooLong = 0;
  const read = lineReader(
    maxBytes,
    (line) => lines.push(line),
    () => {
      tooLong++;
    },
  );
  for (const chunk of chunks) read(chunk);
  return { lines, tooLong };
}

test('lines are the same wherever the stream is cut, within a character too', () => {
  const bytes = Buffer.from('{"a":1}\n\nzwölf €uro 🙂\nlast\n');
  const expected = ['{"a":1}', '', 'zwölf €uro 🙂', 'last'];
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      assert.deepEqual(readAll(chunks).lines, expected, `cut at ${first} and ${second}`);
    }
  }
  assert.deepEqual(readAll([...bytes].map((byte) => Buffer.from([byte]))).lines, expected);
});

test('what has no end of line yet is kept back', () => {
  assert.deepEqual(readAll([Buffer.from('a\nb')]).lines, ['a']);
  assert.deepEqual(readAll([Buffer.from('a\nb'), Buffer.from('c\n')]).lines, ['a', 'bc']);
});

test('a line of just the limit is read, and the limit is of one line, not of the stream', () => {
  const line = 'x'.repeat(100);
  assert.deepEqual(readAll([Buffer.from(`${line}\n${line}\n${line}\n`)]), {
    lines: [line, line, line],
    tooLong: 0,
  });
});

test('a peer that sends a line without end is told once and heard no more', () => {
  const drip = Array.from({ length: 1000 }, () => Buffer.from('x'));
  assert.deepEqual(readAll([Buffer.from('a\n'), ...drip, Buffer.from('\nb\n')]), {
    lines: ['a'],
    tooLong: 1,
  });
  assert.deepEqual(readAll([Buffer.from(`${'x'.repeat(101)}\nb\n`)]), { lines: [], tooLong: 1 });
});

test('the limit counts bytes, not characters', () => {
  assert.equal(readAll([Buffer.from(`${'€'.repeat(33)}\n`)]).tooLong, 0);
  assert.equal(readAll([Buffer.from(`${'€'.repeat(34)}\n`)]).tooLong, 1);
});
