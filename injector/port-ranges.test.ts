import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePort, parsePortRanges } from './port-ranges.ts';

test('ports and ranges, with spaces around them', () => {
  assert.deepEqual(parsePortRanges('ports', '25, 3306 ,9000-9010'), [
    { first: 25, last: 25 },
    { first: 3306, last: 3306 },
    { first: 9000, last: 9010 },
  ]);
});

test('nothing is an empty list', () => {
  assert.deepEqual(parsePortRanges('ports', ' '), []);
});

for (const text of [
  '0',
  '65536',
  '80,',
  ',',
  '1-2-3',
  '-5',
  '5-',
  '0x50',
  '1e3',
  '٣',
  '80 81',
  '80:90',
  '+80',
  '-j',
]) {
  test(`"${text}" is refused with the field, the value and what was meant`, () => {
    assert.throws(
      () => parsePortRanges('skip-inbound-ports', text),
      ({ message }: Error) =>
        message.startsWith(`skip-inbound-ports "${text}": "`) && message.endsWith('like 25,3306,9000-9010'),
    );
  });
}

test('a range the wrong way round is refused with the right one', () => {
  assert.throws(() => parsePortRanges('p', '1,9010-9000'), /^Error: p "1,9010-9000": .* write 9000-9010$/);
});

test('a port is one number', () => {
  assert.equal(parsePort('--inbound-port', '4143'), 4143);
  assert.throws(
    () => parsePort('--inbound-port', '4143-4144'),
    /^Error: --inbound-port "4143-4144" is not a port/,
  );
});
