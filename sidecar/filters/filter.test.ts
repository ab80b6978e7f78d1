import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { composeChain, type Filter, LATER } from './filter.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

test('a chain has for each phase those that take part in it, in their order', () => {
  const calls: string[] = [];
  const first: Filter = {
    name: 'first',
    onRequest: () => void calls.push('first request'),
    onEnd: () => void calls.push('first end'),
  };
  const second: Filter = { name: 'second', onResponse: () => void calls.push('second response') };
  const third: Filter = {
    name: 'third',
    onRequest() {
      calls.push('third request');
      return LATER;
    },
    onResponse: () => void calls.push('third response'),
  };
  const chain = composeChain([first, second, third, { name: 'idle' }]);
  const exchange = exchangeFor();
  const verdicts = chain.onRequest.map((filter) => filter.onRequest(exchange, unused));
  for (const filter of chain.onResponse)
    filter.onResponse(exchange, headOf('response', 'HTTP/1.1 200 OK\r\n\r\n'));
  for (const filter of chain.onEnd) filter.onEnd(exchange);
  assert.deepEqual(verdicts, [undefined, LATER]);
  assert.deepEqual(calls, [
    'first request',
    'third request',
    'second response',
    'third response',
    'first end',
  ]);
  assert.deepEqual(chain.names, ['first', 'second', 'third', 'idle']);
});

test('a filter of a chain is called as itself, not as a bare function', () => {
  class Counting implements Filter {
    readonly name = 'counting';
    seen = 0;
    onRequest(): undefined {
      this.seen++;
    }
  }
  const counting = new Counting();
  for (const filter of composeChain([counting]).onRequest) filter.onRequest(exchangeFor(), unused);
  assert.equal(counting.seen, 1);
});

test('an empty chain has no phase', () => {
  assert.deepEqual(composeChain([]), { onRequest: [], onBackend: [], onResponse: [], onEnd: [], names: [] });
});
