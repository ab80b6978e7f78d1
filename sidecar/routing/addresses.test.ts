import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { waiting } from '../../test/fixture/routed.ts';
import { toldServices } from '../../test/fixture/told-services.ts';
import { RunningAddresses, type Whereto } from './addresses.ts';
import { isPending } from './plan.ts';

function addresses(context: TestContext) {
  const mesh = toldServices(context);
  const running = new RunningAddresses(mesh.told, mesh.parts);
  context.after(() => running.close());
  const whereto = (key: string) => running.whereto(key, performance.now());
  return { ...mesh, running, whereto };
}

function settled(whereto: ReturnType<RunningAddresses['whereto']>): string {
  assert.ok(!isPending(whereto), 'it waits');
  const known = whereto as Whereto;
  return 'service' in known ? known.service : known.passing.service;
}

const KEY = '10.96.0.1:80';

function says(told: ReturnType<typeof addresses>['told'], service: string | undefined): void {
  if (service === undefined) told.tellAbsent('address', KEY);
  else told.tell({ kind: 'address', key: KEY, version: 'v', service });
}

test('the first connection to an address waits for what the control plane says of it', (context) => {
  const { told, whereto } = addresses(context);
  const first = waiting(whereto(KEY));
  assert.deepEqual(told.asked, [`want address ${KEY}`]);
  says(told, 'shop/orders:80');
  assert.equal(first.woken, 1);
  assert.equal(settled(whereto(KEY)), 'shop/orders:80');
});

test('what is no service passes through, and becomes one when the control plane says so', (context) => {
  const { told, whereto } = addresses(context);
  waiting(whereto(KEY));
  says(told, undefined);
  assert.equal(settled(whereto(KEY)), 'passthrough');
  says(told, 'shop/orders:80');
  assert.equal(settled(whereto(KEY)), 'shop/orders:80');
  says(told, undefined);
  assert.equal(settled(whereto(KEY)), 'passthrough');
});

test('a control plane that does not answer holds connections up for three seconds at most', (context) => {
  const { whereto, pass } = addresses(context);
  const first = waiting(whereto(KEY));
  pass(3_100);
  assert.equal(first.woken, 1);
  assert.equal(settled(whereto(KEY)), 'passthrough');
});

test('a control plane that is known to be away holds nobody up', (context) => {
  const { told, whereto } = addresses(context);
  Object.assign(told, {
    state: () => ({ connected: false, since: 0, trustDomain: '', lastError: 'connection refused' }),
  });
  assert.equal(settled(whereto(KEY)), 'passthrough');
});

test('an address that nobody connects to is no longer followed', (context) => {
  const { told, whereto, pass } = addresses(context);
  whereto(KEY);
  says(told, 'shop/orders:80');
  pass(80_000);
  whereto(KEY);
  pass(80_000);
  assert.ok(!told.asked.includes(`drop address ${KEY}`));
  pass(30_000);
  assert.ok(told.asked.includes(`drop address ${KEY}`));
});

test('an application that connects to ever more addresses makes the sidecar follow no more than 4096', (context) => {
  const { told, whereto, pass } = addresses(context);
  for (let i = 0; i < 4096; i++) {
    const key = `10.0.${i >> 8}.${i & 255}:80`;
    whereto(key);
    told.tellAbsent('address', key);
  }
  pass(10);
  whereto('10.0.0.0:80');
  whereto(KEY);
  assert.deepEqual(
    told.asked.filter((asked) => asked.startsWith('drop')),
    ['drop address 10.0.0.1:80'],
    'the one that was used longest ago makes room',
  );
});
