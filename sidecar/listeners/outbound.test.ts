import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { answered, chosen, planned, waiting } from '../../test/fixture/routed.ts';
import { routeTo, serviceResource, toldServices } from '../../test/fixture/told-services.ts';
import { isAnswer } from '../routing/plan.ts';
import { OutboundRouter } from './outbound.ts';

function outbound(context: TestContext) {
  const mesh = toldServices(context);
  const router = new OutboundRouter(mesh.services, 't');
  return {
    ...mesh,
    plan: (host: string, path = '/') =>
      router.plan(exchangeFor(path, [], { listener: 'outbound', host, startMs: performance.now() })),
    followed: () => [...mesh.services.all()].map(({ key }) => key),
  };
}

test('a service is called by its short name in the own namespace, and by longer names anywhere', (context) => {
  const { plan, told } = outbound(context);
  for (const host of [
    'app',
    'APP:8080',
    'app.t',
    'app.other',
    'app.other.svc',
    'app.other.svc.cluster.local.',
  ])
    waiting(plan(host));
  assert.deepEqual(told.asked, ['want service t/app', 'want service other/app']);
});

test('a host that names no service is answered at once, and nobody is asked about it', (context) => {
  const { plan, told } = outbound(context);
  for (const host of ['www.example.com', '10.0.0.1', '[::1]:80', 'app_1', 'a..b']) {
    for (let i = 0; i < 2; i++) assert.equal(answered(plan(host)), '404 no-service');
  }
  const answer = plan('www.example.com');
  assert.ok(isAnswer(answer));
  assert.match(answer.detail, /^"www\.example\.com" names no service of the mesh; .*NAME\.NAMESPACE/);
  assert.deepEqual(told.asked, []);
});

test('the first call waits for the word about its service; then every call is routed by its Host', (context) => {
  const { plan, told } = outbound(context);
  const first = waiting(plan('app'));
  told.tell(serviceResource('t/app'));
  assert.equal(first.woken, 1);
  plan('other');
  told.tell(serviceResource('t/other'));
  for (const host of ['app', 'app', 'other', 'app.t'])
    assert.equal(chosen(planned(plan(host)).backend()).service, `t/${host.split('.')[0]}`);
});

test('calls to one host again and again go by the newest routes, and by their own path', (context) => {
  const { plan, told } = outbound(context);
  plan('app');
  told.tell(serviceResource('t/app'));
  assert.equal(planned(plan('app')).route, '');
  told.tell(
    serviceResource('t/app', {
      routes: [routeTo('t/a', '/a', { 't/app': 1 }), routeTo('t/b', '/b', { 't/app': 1 })],
    }),
  );
  assert.equal(planned(plan('app', '/a')).route, 't/a');
  assert.equal(planned(plan('app', '/b')).route, 't/b');
  assert.equal(answered(plan('app', '/c')), '404 no-route');
  told.tellAbsent('service', 't/app');
  assert.equal(answered(plan('app', '/a')), '404 no-service');
});

test('a service that is called again and again is in use, and not dropped', (context) => {
  const { plan, told, pass, followed } = outbound(context);
  plan('app');
  told.tell(serviceResource('t/app'));
  for (let s = 0; s < 300; s += 15) {
    planned(plan('app'));
    pass(15_000);
  }
  assert.deepEqual(followed(), ['t/app']);
});

test('a service that was dropped is followed anew at the next call, not remembered', (context) => {
  const { plan, told, pass, followed } = outbound(context);
  plan('app');
  told.tell(serviceResource('t/app'));
  planned(plan('app'));
  for (let s = 0; s < 120; s += 15) pass(15_000);
  assert.deepEqual(followed(), []);
  const wait = waiting(plan('app'));
  told.tell(serviceResource('t/app', { endpoints: ['10.0.0.9:80'] }));
  assert.equal(wait.woken, 1);
  assert.equal(chosen(planned(plan('app')).backend()).endpoints[0]?.address, '10.0.0.9:80');
});

test('a caller who invents host names neither fills the memory of services nor hinders a call to a new one', (context) => {
  const { plan, told, followed } = outbound(context);
  for (let i = 0; i < 5_000; i++) {
    plan(`x${i}`);
    answered(plan(`x${i}.example.com`));
  }
  assert.equal(followed().length, 4_096);
  plan('app');
  told.tell(serviceResource('t/app'));
  for (let i = 0; i < 5_000; i++) plan(`y${i}`);
  assert.equal(chosen(planned(plan('app')).backend()).service, 't/app');
});
