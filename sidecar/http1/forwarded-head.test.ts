import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { forwardedFields } from './forwarded-head.ts';

function forwarded(lines: readonly string[], remove: readonly string[] = []): string {
  const head = headOf('request', `GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
  for (const name of remove) head.remove(name);
  return forwardedFields(head);
}

test('order, case and white space are forwarded as they came', () => {
  const lines = ['zeta:1', 'HOST:  h \t', 'Alpha:\t2', 'ALPHA:', 'x: \xe9', 'alpha: "a, b"'];
  assert.equal(forwarded(lines), lines.map((line) => `${line}\r\n`).join(''));
});

for (const name of [
  'Connection',
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'TE',
  'Upgrade',
  'HTTP2-Settings',
]) {
  test(`${name} is for this hop, in any case and place`, () => {
    const line = name === 'Connection' ? `${name}: keep-alive` : `${name}: x`;
    for (const written of [line, line.toUpperCase(), line.toLowerCase()]) {
      if (name !== 'Connection' || written === line)
        assert.equal(forwarded([written, 'Host: h', written, 'A: 1', written]), 'Host: h\r\nA: 1\r\n');
    }
  });
}

test('names that only look like those of a hop are forwarded', () => {
  const lines = ['Host: h', 'Keep_Alive: 1', 'Connections: 1', 'T: 1', 'xUpgrade: 1', 'Proxy-Status: 1'];
  assert.equal(forwarded(lines), lines.map((line) => `${line}\r\n`).join(''));
});

test('what Connection names is dropped, wherever it stands and by whatever characters', () => {
  assert.equal(
    forwarded(['X_Secret: 1', 'Host: h', 'Connection: close, x-one ,X_secret', 'x-ONE: 2', 'X-Two: 3']),
    'Host: h\r\nX-Two: 3\r\n',
  );
});

test('a head of which all is dropped forwards nothing', () => {
  assert.equal(forwarded(['Host: h', 'Connection: close'], ['host']), '');
});

test('any mix of lines forwards those that are kept, in their order', () => {
  const random = seeded(4);
  for (let round = 0; round < 500; round++) {
    const lines = ['Host: h'];
    const kept = ['Host: h'];
    for (let count = Math.floor(random() * 12); count > 0; count--) {
      const line = [`X-${count}:${' '.repeat(count % 3)}v`, 'TE: x', 'Gone: 1', 'gOnE:2', 'Keep-Alive: x'][
        Math.floor(random() * 5)
      ] as string; // below the length
      const at = random() < 0.3 ? 0 : lines.length;
      lines.splice(at, 0, line);
      if (!line.startsWith('X-')) continue;
      kept.splice(at === 0 ? 0 : kept.length, 0, line);
    }
    assert.equal(forwarded(lines, ['gone']), kept.map((line) => `${line}\r\n`).join(''), lines.join(' | '));
  }
});
