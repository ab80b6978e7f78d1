import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_2 } from '../http/message-head.ts';
import type { Upstream } from '../http/upstream.ts';
import type { Transport } from '../transport/transport.ts';
import { RequestBody } from './request-body.ts';

/** Where bytes came from: nothing here reads it, it is only passed on. */
const SOURCE = { name: 'the client' } as unknown as Transport;

interface TestUpstream extends Upstream {
  readonly pieces: string[];
  readonly sources: (Transport | undefined)[];
  /** What it answers to data. */
  takes: boolean;
  ends: (string[] | undefined)[];
}

/** An upstream that keeps what it is sent. */
function upstream(): TestUpstream {
  const one: TestUpstream = {
    pieces: [],
    sources: [],
    takes: true,
    ends: [],
    transport: SOURCE,
    version: HTTP_2,
    requests: 1,
    answered: false,
    send() {},
    requestData(source, bytes, start, end) {
      one.pieces.push(bytes.toString('latin1', start, end));
      one.sources.push(source);
      return one.takes;
    },
    requestEnd: (trailers) => one.ends.push(trailers?.map(({ name, value }) => `${name}: ${value}`)),
    flush() {},
    abandon() {},
    discard() {},
    pauseResponse() {},
    resumeResponse() {},
    endTunnel() {},
    halfClose() {},
  };
  return one;
}

function body(): RequestBody {
  const one = new RequestBody(DEFAULT_LIMITS);
  one.begin();
  return one;
}

/** Bytes as a connection hands them on: a range of a buffer that it reads over afterwards. */
function handed(text: string, take: (bytes: Buffer, start: number, end: number) => void): void {
  const bytes = Buffer.from(`<${text}>`, 'latin1');
  take(bytes, 1, bytes.length - 1);
  bytes.fill('!');
}

const hold = (one: RequestBody, text: string) =>
  handed(text, (bytes, start, end) => one.hold(bytes, start, end));

function forward(one: RequestBody, to: Upstream, text: string): boolean {
  let ready = true;
  handed(text, (bytes, start, end) => {
    ready = one.forward(to, SOURCE, bytes, start, end);
  });
  return ready;
}

test('what came before the upstream is sent to it first, as it was, and the rest follows', () => {
  const [one, to] = [body(), upstream()];
  hold(one, 'ab');
  hold(one, 'c');
  assert.equal(one.sent, false);
  one.sendTo(to, false);
  assert.equal(forward(one, to, 'd'), true);
  one.end([new Field('x', 'y')]);
  one.endTo(to);
  assert.deepEqual([to.pieces.join(''), to.ends], ['abcd', [['x: y']]]);
  assert.deepEqual(to.sources, [undefined, SOURCE], 'a copy has no source');
  assert.equal(one.sent, true);
});

test('an upstream that takes no more makes the client wait', () => {
  const [one, to] = [body(), upstream()];
  one.sendTo(to, false);
  to.takes = false;
  assert.equal(forward(one, to, 'a'), false);
  to.takes = true;
  assert.equal(forward(one, to, 'b'), true);
});

test('a request without a body can be made again, and so can one whose connect failed', () => {
  const [one, to] = [body(), upstream()];
  hold(one, 'a');
  assert.equal(one.replayable, true);
  one.sendTo(to, false);
  assert.equal(one.replayable, false);
  const empty = body();
  empty.sendTo(to, false);
  empty.end(undefined);
  empty.endTo(to);
  assert.equal(empty.replayable, true);
});

test('a small body that is kept is sent again whole, once to each upstream, and its end again', () => {
  const one = body();
  one.keepForReplay();
  hold(one, 'a');
  const tries = [upstream(), upstream(), upstream()] as const;
  one.sendTo(tries[0], false);
  forward(one, tries[0], 'b');
  hold(one, 'c'); // the first attempt has failed, the client sends on
  one.sendTo(tries[1], false);
  forward(one, tries[1], 'd');
  one.end([new Field('t', '1')]);
  one.endTo(tries[1]);
  assert.equal(one.replayable, true);
  one.sendTo(tries[2], false);
  one.endTo(tries[2]);
  assert.deepEqual(
    tries.map(({ pieces }) => pieces.join('')),
    ['ab', 'abcd', 'abcd'],
  );
  assert.deepEqual(
    tries.map(({ ends }) => ends),
    [[], [['t: 1']], [['t: 1']]],
  );
});

test('a body of 64 KiB can be sent again, and one of a byte more cannot', () => {
  const size = 64 * 1024;
  for (const [text, replayable] of [
    ['x'.repeat(size), true],
    ['x'.repeat(size + 1), false],
  ] as const) {
    const [early, to] = [body(), upstream()];
    early.keepForReplay();
    hold(early, text);
    early.sendTo(to, false);
    assert.equal(early.replayable, replayable, 'it came before the upstream');
    const late = body();
    late.keepForReplay();
    late.sendTo(to, false);
    forward(late, to, text.slice(0, -1));
    assert.equal(late.replayable, true);
    forward(late, to, 'x');
    assert.equal(late.replayable, replayable, 'it came after the upstream');
  }
});

test('an attacker who sends a large body does not get a part of it sent as the whole', () => {
  const [one, first, second] = [body(), upstream(), upstream()];
  one.keepForReplay();
  one.sendTo(first, false);
  forward(one, first, 'x'.repeat(70_000));
  forward(one, first, 'tail');
  assert.equal(one.replayable, false);
  one.sendTo(second, false);
  assert.deepEqual(second.pieces, [], 'nothing is kept of it');
});

test('a body in chunks leaves them for an upstream that knows none, and its trailers stay', () => {
  const [one, to] = [body(), upstream()];
  hold(one, '3\r\nabc\r\n2;x=');
  one.sendTo(to, true);
  forward(one, to, 'y\r\nd');
  forward(one, to, 'e\r\n0\r\nX-T: 1\r\n\r\n');
  one.end(undefined);
  one.endTo(to);
  assert.deepEqual([to.pieces.join(''), to.ends], ['abcde', [['x-t: 1']]]);
});

test('a body in chunks is read from its start by each upstream, in chunks or out of them', () => {
  const one = body();
  const chunks = '3\r\nabc\r\n0\r\n\r\n';
  one.keepForReplay();
  const [cut, out, whole] = [upstream(), upstream(), upstream()];
  hold(one, chunks.slice(0, 4));
  one.sendTo(cut, true);
  forward(one, cut, chunks.slice(4));
  one.end(undefined);
  one.sendTo(out, true);
  one.endTo(out);
  one.sendTo(whole, false);
  one.endTo(whole);
  assert.deepEqual(
    [cut, out, whole].map(({ pieces }) => pieces.join('')),
    ['abc', 'abc', chunks],
  );
  assert.deepEqual([out.ends, whole.ends], [[undefined], [undefined]]);
});

test('one piece of several that is not taken makes the client wait', () => {
  const [one, to] = [body(), upstream()];
  one.sendTo(to, true);
  to.takes = false;
  assert.equal(forward(one, to, '1\r\na\r\n'), false);
  to.takes = true;
  assert.equal(forward(one, to, '1\r\nb\r\n'), true);
  const refusing = {
    ...upstream(),
    requestData: (_: unknown, bytes: Buffer, start: number) => bytes[start] !== 0x61,
  };
  one.sendTo(refusing, true);
  assert.equal(forward(one, refusing, '1\r\na\r\n1\r\nb\r\n'), false, 'the first of two was not taken');
});

test('the next request of a connection gets nothing of the one before', () => {
  const [one, first, second] = [body(), upstream(), upstream()];
  one.keepForReplay();
  hold(one, 'secret');
  one.sendTo(first, true);
  one.end([new Field('t', '1')]);
  one.begin();
  assert.deepEqual([one.ended, one.sent, one.replayable], [false, false, true]);
  one.sendTo(second, false);
  forward(one, second, 'b');
  assert.equal(one.replayable, false, 'the next keeps nothing unless it is asked');
  one.end(undefined);
  one.endTo(second);
  assert.deepEqual([second.pieces, second.ends], [['b'], [undefined]]);
});

test('what was released is sent to nobody any more', () => {
  const [one, to] = [body(), upstream()];
  one.keepForReplay();
  hold(one, 'a');
  one.release();
  one.sendTo(to, false);
  assert.deepEqual(to.pieces, []);
});
