import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientMessageSchema, MAX_LINE_BYTES, PROTOCOL_VERSION } from './control-messages.ts';

const NODE = { id: 'web-1', workload: 'shop/web', version: '0.1.0' };
const HELLO = { type: 'hello', version: PROTOCOL_VERSION, node: NODE };
const KEY = { kind: 'service', key: 'shop/orders' };

const accepts = (message: unknown) => clientMessageSchema.safeParse(message).success;

test('the messages that sidecars send', () => {
  const messages = [
    HELLO,
    { ...HELLO, node: { ...NODE, workload: '' } },
    {
      type: 'subscribe',
      resources: [KEY, { ...KEY, version: 'abc' }, { kind: 'gateway', key: 'shop/edge' }],
    },
    { type: 'subscribe', resources: [] },
    { type: 'unsubscribe', resources: [KEY] },
  ];
  for (const message of messages) assert.deepEqual(clientMessageSchema.parse(message), message);
});

test('a newer sidecar may say more: what is not known is left out', () => {
  const newer = { ...HELLO, version: 99, zone: 'a', node: { ...NODE, zone: 'a' } };
  assert.deepEqual(clientMessageSchema.parse(newer), { ...HELLO, version: 99 });
});

test('a peer that sends other types, no type, or no object is refused', () => {
  for (const message of [
    null,
    5,
    'hello',
    [],
    {},
    { ...HELLO, type: 'resource' },
    { type: '__proto__' },
    [HELLO],
  ]) {
    assert.ok(!accepts(message), JSON.stringify(message));
  }
});

test('a peer whose name is empty, boundless or no text is refused', () => {
  for (const node of [
    { id: '' },
    { id: 'x'.repeat(254) },
    { id: 5 },
    { workload: 'x'.repeat(321) },
    { version: 'x'.repeat(65) },
    { version: undefined },
  ]) {
    assert.ok(!accepts({ ...HELLO, node: { ...NODE, ...node } }), JSON.stringify(node));
  }
  for (const version of ['1', 1.5, null, undefined])
    assert.ok(!accepts({ ...HELLO, version }), String(version));
});

test('keys that lead elsewhere or of boundless length, and what is no name of a kind, are refused', () => {
  const keys = [
    'orders',
    '/orders',
    'shop/',
    '../shop/orders',
    'shop/orders/x',
    'Shop/orders',
    'shop/*',
    'shop/a\n',
    '*',
  ];
  for (const key of [...keys, `${'x'.repeat(64)}/a`, `a/${'x'.repeat(254)}`, '__proto__', 5]) {
    for (const type of ['subscribe', 'unsubscribe']) {
      assert.ok(!accepts({ type, resources: [{ ...KEY, key }] }), String(key));
    }
  }
  for (const kind of ['', 'Secret', 'no kind', '../service', 'x'.repeat(33), '__proto__', 5, null])
    assert.ok(!accepts({ type: 'subscribe', resources: [{ ...KEY, kind }] }), String(kind));
  assert.ok(!accepts({ type: 'subscribe', resources: [{ ...KEY, version: 'x'.repeat(65) }] }));
});

test('a newer sidecar may ask for kinds and by keys that are not known, as long as they are short and printable', () => {
  const asks = (key: string) => accepts({ type: 'subscribe', resources: [{ kind: 'quota', key }] });
  assert.ok(asks('shop/orders'));
  assert.ok(asks('spiffe://mesh.local/ns/shop?per=client'));
  for (const key of ['', 'a b', 'a\n', 'x'.repeat(341), 'caf\u00e9']) assert.equal(asks(key), false, key);
});

test('a peer that subscribes to more than 10000 resources in a message is refused', () => {
  const resources = Array.from({ length: 10_001 }, () => KEY);
  for (const type of ['subscribe', 'unsubscribe']) {
    assert.ok(!accepts({ type, resources }));
    assert.ok(accepts({ type, resources: resources.slice(1) }));
  }
});

test('a subscription to 10000 services with the longest names fits into a line', () => {
  const largest = { ...KEY, key: `${'x'.repeat(63)}/${'x'.repeat(63)}`, version: 'f'.repeat(16) };
  const resources = Array.from({ length: 10_000 }, () => largest);
  assert.ok(JSON.stringify({ type: 'subscribe', resources }).length < MAX_LINE_BYTES);
});

test('keys of services, of their ports, of addresses and of pods', () => {
  const asks = (kind: string, key: string) => accepts({ type: 'subscribe', resources: [{ kind, key }] });
  for (const key of ['shop/orders', 'shop/orders:8080', 'shop/db-0.pod:5432'])
    assert.ok(asks('service', key), key);
  for (const key of ['10.96.0.1:443', '[fd00::1]:80']) assert.ok(asks('address', key), key);
  assert.ok(asks('workload', 'shop/orders-7d9f-x'));
  for (const key of ['', 'orders', '10.96.0.1', '[fd00::1]', 'shop/orders:', 'shop/orders:1:2'])
    assert.equal(asks('service', key), false, key);
});
