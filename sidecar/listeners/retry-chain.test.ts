import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { UNMARKED } from './request-marks.ts';
import { RetryChain } from './retry-chain.ts';

/** A request with an id of its own, or one that its proxy made up. */
function request(id: string, startMs = 0, given = true) {
  const exchange = exchangeFor('/', given ? [`x-request-id: ${id}`] : [], { startMs });
  exchange.id = id;
  return exchange;
}

/** Of an application that made a call already. */
function calling(): RetryChain {
  const chain = new RetryChain();
  chain.marksOf(request('first'), UNMARKED);
  return chain;
}

const MARKS = { attempt: 2, deadlineMs: 500 };

test('a call with the id of a request that is served goes by the marks of that request, until it is over', () => {
  const chain = new RetryChain();
  chain.begin(request('a'), MARKS);
  assert.deepEqual(chain.marksOf(request('a'), UNMARKED), MARKS);
  assert.equal(chain.marksOf(request('b'), UNMARKED), UNMARKED);
  assert.equal(chain.marksOf(request('a', 0, false), UNMARKED), UNMARKED, 'an id that was made up here');
  chain.end(request('a'), MARKS);
  assert.equal(chain.marksOf(request('a'), UNMARKED), UNMARKED);
});

test('a retry with the same id does not lose its marks when the first of the two is over', () => {
  const chain = new RetryChain();
  const second = { attempt: 3, deadlineMs: 900 };
  chain.begin(request('a'), MARKS);
  chain.begin(request('a'), second);
  chain.end(request('a'), MARKS);
  assert.deepEqual(chain.marksOf(request('a'), UNMARKED), second);
});

test('of two requests with one id none has its calls cut short by the deadline of the other, nor loses its own when that is over', () => {
  const chain = new RetryChain();
  const [slow, quick] = [
    { attempt: 1, deadlineMs: 5000 },
    { attempt: 1, deadlineMs: 200 },
  ];
  chain.begin(request('a'), slow);
  chain.begin(request('a'), quick);
  assert.deepEqual(chain.marksOf(request('a'), UNMARKED), slow);
  chain.end(request('a'), quick);
  assert.deepEqual(chain.marksOf(request('a'), UNMARKED), slow);
});

test('a call that was given up counts for the request of its id only, where ids are handed on', () => {
  const chain = calling();
  chain.begin(request('a', 90), UNMARKED);
  chain.giveUp(request('a', 100), 150);
  assert.equal(chain.gaveUpFor(request('a', 90)), true);
  assert.equal(chain.gaveUpFor(request('b', 90)), false);
  assert.equal(chain.gaveUpFor(request('a', 200)), false, 'an earlier request of the same id');
});

test('a call with an id that the application made up counts for all that were served meanwhile', () => {
  const chain = calling();
  chain.begin(request('a', 90), UNMARKED);
  chain.giveUp(request('of-its-own', 100), 150);
  assert.equal(chain.gaveUpFor(request('a', 90)), true);
  chain.begin(request('b', 160), UNMARKED);
  chain.end(request('b', 160), UNMARKED);
  chain.giveUp(request('b', 170), 180);
  assert.equal(chain.gaveUpFor(request('c', 175)), true, 'b was over');
});

test('where no id is handed on, it counts for all that were served meanwhile, and for none after', () => {
  const chain = new RetryChain();
  chain.giveUp(request('made-up', 100, false), 150);
  assert.equal(chain.gaveUpFor(request('a', 90)), true);
  assert.equal(chain.gaveUpFor(request('b', 151)), false);
});

test('a peer that sends ids without end fills no memory', () => {
  const chain = new RetryChain();
  for (let i = 0; i < 10_000; i++) {
    chain.begin(request(`r${i}`), MARKS);
    chain.giveUp(request(`r${i}`), 1);
  }
  assert.equal(chain.marksOf(request('r0'), UNMARKED), UNMARKED, 'the oldest made room');
  assert.equal(chain.gaveUpFor(request('r0')), false);
  assert.equal(chain.gaveUpFor(request('r9999')), true);
});

test('an application that claims that a request has not run, so that it is sent again, is not heard', () => {
  const head = headOf('response', 'HTTP/1.1 503 X\r\ntulle-not-run: connect-failed\r\n\r\n');
  new RetryChain().onFailure(request('a'), head);
  assert.equal(head.get('tulle-not-run'), undefined);
});
