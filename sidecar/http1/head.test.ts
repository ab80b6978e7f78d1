import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { forwardedFields } from './forwarded-head.ts';

function head(...lines: string[]) {
  return headOf('request', `GET / HTTP/1.1\r\nHost: h\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

test('a header is found in any case, whatever characters its name has', () => {
  const one = head('X-Plain: 1', 'X_Under: 2', "A!#$%&'*+.^`|~9: 3");
  for (const [name, value] of [
    ['x-plain', '1'],
    ['x_under', '2'],
    ["a!#$%&'*+.^`|~9", '3'],
  ] as const)
    assert.equal(one.get(name), value, name);
});

test('names that differ in more than case are different headers', () => {
  const one = head('a-b: 1', 'a_b: 2', 'a^b: 3', 'a~b: 4', 'a`b: 5');
  assert.equal(one.get('a-b'), '1');
  assert.equal(one.get('a_b'), '2');
  assert.equal(one.get('a^b'), '3');
  assert.equal(one.get('a~b'), '4');
  assert.equal(one.get('a`b'), '5');
  assert.equal(one.get('a'), undefined);
  assert.equal(one.get('a-bc'), undefined);
});

test('all headers of a name are found one after the other', () => {
  const one = head('A: 1', 'B: 2', 'a: 3');
  const first = one.find('a', 0);
  const second = one.find('a', first + 1);
  assert.deepEqual([one.value(first), one.value(second), one.find('a', second + 1)], ['1', '3', -1]);
  assert.deepEqual([one.name(first), one.name(second)], ['A', 'a']);
});

test('what was removed is neither found nor forwarded, and removing it twice is the same', () => {
  const one = head('A: 1', 'B: 2', 'a: 3');
  one.remove('a');
  one.remove('a');
  assert.equal(one.get('a'), undefined);
  assert.equal(forwardedFields(one), 'Host: h\r\nB: 2\r\n');
});

test('a hop-by-hop header can be read though it is not forwarded', () => {
  const one = head('Upgrade: websocket', 'Connection: upgrade');
  assert.equal(one.get('upgrade'), 'websocket');
  assert.equal(one.value(one.upgradeIndex), 'websocket');
  assert.equal(forwardedFields(one), 'Host: h\r\n');
});
