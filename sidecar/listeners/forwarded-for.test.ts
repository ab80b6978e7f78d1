import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { forwardedFor } from './forwarded-for.ts';

/** All header lines that go on when a caller at `peerAddress` sends `lines`. */
function forwarded(lines: readonly string[], peerAddress = '203.0.113.9:4711'): string[] {
  const exchange = exchangeFor('/', lines, { listener: 'gateway', host: 'h' });
  exchange.peerAddress = peerAddress;
  const added = forwardedFor(exchange);
  assert.match(added, /\r\n$/);
  return `${fieldLines(exchange.head)}${added}`.split('\r\n').slice(0, -1);
}

test('services are told the address of the caller, without its port', () => {
  assert.deepEqual(forwarded([]), ['Host: h', 'x-forwarded-for: 203.0.113.9', 'x-forwarded-proto: http']);
});

test('the caller comes last in the list of proxies that was given', () => {
  assert.deepEqual(forwarded(['X-Forwarded-For: 10.0.0.1, 10.0.0.2', 'Accept: */*']), [
    'Host: h',
    'Accept: */*',
    'x-forwarded-for: 10.0.0.1, 10.0.0.2, 203.0.113.9',
    'x-forwarded-proto: http',
  ]);
});

test('several lines of proxies are one list, in their order', () => {
  assert.deepEqual(
    forwarded(['X-Forwarded-For: a', 'Accept: */*', 'x-forwarded-for: b, c', 'X-FORWARDED-FOR: d']),
    ['Host: h', 'Accept: */*', 'x-forwarded-for: a, b, c, d, 203.0.113.9', 'x-forwarded-proto: http'],
  );
});

for (const [peer, shown] of [
  ['2001:db8::7:4711', '2001:db8::7'],
  ['::1:80', '::1'],
  ['fe80::1%eth0:80', 'fe80::1%eth0'],
  ['::ffff:203.0.113.9:4711', '::ffff:203.0.113.9'],
] as const) {
  test(`a caller at ${shown} is told whole`, () => {
    assert.ok(forwarded([], peer).includes(`x-forwarded-for: ${shown}`));
  });
}

for (const name of ['X-Forwarded-Client-Cert', 'x-forwarded-client-cert', 'X-FORWARDED-CLIENT-CERT']) {
  test(`an attacker who writes ${name} is not taken for a caller with a certificate`, () => {
    const lines = forwarded([`${name}: URI=spiffe://mesh.local/ns/t/sa/web`, `${name}: By=x`]);
    assert.deepEqual(lines, ['Host: h', 'x-forwarded-for: 203.0.113.9', 'x-forwarded-proto: http']);
  });
}

test('an attacker who says that it came by https is not believed', () => {
  const lines = forwarded(['X-Forwarded-Proto: https', 'x-forwarded-proto: https', 'Accept: */*']);
  assert.deepEqual(
    lines.filter((line) => /proto/i.test(line)),
    ['x-forwarded-proto: http'],
  );
  assert.ok(lines.includes('Accept: */*'));
});

test('an attacker who writes addresses of others stands behind them with its own', () => {
  const [line = ''] = forwarded(['X-Forwarded-For: 127.0.0.1']).filter((one) =>
    one.startsWith('x-forwarded-for'),
  );
  assert.equal(line.split(', ').at(-1), '203.0.113.9');
});

test('an attacker who names the lines as of its connection only does not get rid of them', () => {
  const lines = forwarded(['Connection: x-forwarded-for, x-forwarded-proto', 'X-Forwarded-For: 10.0.0.1']);
  assert.ok(
    lines.some((line) => /^x-forwarded-for: .*203\.0\.113\.9$/.test(line)),
    lines.join('; '),
  );
  assert.ok(lines.includes('x-forwarded-proto: http'));
});
