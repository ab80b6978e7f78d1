import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Route, TLS_ROUTE } from '../../protocol/route.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { answered, chosen, planned, waiting } from '../../test/fixture/routed.ts';
import { gatewayResource, routeTo, serviceResource, toldServices } from '../../test/fixture/told-services.ts';
import { Quotas } from '../quotas/quotas.ts';
import { isAnswer, isPending } from '../routing/plan.ts';
import { GatewayRouter } from './gateway.ts';

/** A gateway, wired as the data plane wires it. */
function gateway(context: TestContext) {
  const mesh = toldServices(context);
  const router = new GatewayRouter(mesh.services, 't/edge', new Quotas());
  mesh.services.onService(() => router.refresh());
  return {
    ...mesh,
    router,
    update: (...routes: Route[]) => router.update(gatewayResource('t/edge', routes)),
    plan: (path = '/', host = 'shop.test') =>
      router.plan(exchangeFor(path, [], { listener: 'gateway', host })),
  };
}

const shop = (path = '/', more = {}) => routeTo(`t${path}`, path, { 't/app': 1 }, more);

test('requests wait for the Gateway in the first three seconds, and go on when it comes', (context) => {
  const { plan, router, update, told, pass } = gateway(context);
  const first = waiting(plan());
  pass(2_900);
  const second = waiting(plan());
  assert.equal(router.known, false);
  update(shop());
  assert.deepEqual([first.woken, second.woken, router.known], [1, 1, true]);
  told.tell(serviceResource('t/app'));
  planned(plan());
});

test('a Gateway of which nothing is known after three seconds is answered for at once, until it comes', (context) => {
  const { plan, update, told, pass } = gateway(context);
  const first = waiting(plan());
  pass(3_100);
  assert.equal(first.woken, 1);
  assert.equal(answered(plan()), '503 not-ready');
  update(shop());
  told.tell(serviceResource('t/app'));
  planned(plan());
});

test('what no route names is not served, a service of the mesh by its own name neither', (context) => {
  const { plan, update, told } = gateway(context);
  update({ ...shop('/a'), hostnames: ['shop.test'] });
  told.tell(serviceResource('t/app'));
  planned(plan('/a'));
  for (const [path, host] of [
    ['/b', 'shop.test'],
    ['/a', 'app.t.svc.cluster.local'],
    ['/a', 'app'],
    ['/a', 'evil.shop.test'],
    ['/a', 'shop.test.evil'],
    ['/ab', 'shop.test'],
  ])
    assert.equal(answered(plan(path, host)), '404 no-route', `${host}${path}`);
  const answer = plan('/b');
  assert.ok(isAnswer(answer));
  assert.equal(answer.detail, 'no route of t/edge matches host "shop.test" and path "/b"');
  assert.ok(!told.asked.includes('want service app'));
});

test('an attacker does not leave the paths of a route by dot segments, plain or encoded, nor does the service see them', (context) => {
  const { plan, update, told } = gateway(context);
  update({ ...shop('/open'), hostnames: ['shop.test'] });
  told.tell(serviceResource('t/app'));
  for (const path of ['/open/../admin', '/open/%2e%2e/admin', '/open/x/.%2E/../admin'])
    assert.equal(answered(plan(path)), '404 no-route', path);
  planned(plan('/other/../open/a'));
  const exchange = exchangeFor('/open/a/../b?x=/../y', [], { listener: 'gateway', host: 'shop.test' });
  assert.deepEqual([exchange.path, exchange.target], ['/open/b', '/open/b?x=/../y']);
  const inside = exchangeFor('/open/../b', [], { listener: 'outbound', host: 'shop.test' });
  assert.equal(inside.target, '/open/../b', 'inside the mesh nobody changes what an application sends');
});

test('a Gateway without routes serves nothing', (context) => {
  const { plan, update } = gateway(context);
  update();
  assert.equal(answered(plan()), '404 no-route');
});

test("a request waits for the settings of its rule's first service, and goes by them", (context) => {
  const { plan, update, told } = gateway(context);
  update(shop());
  const wait = waiting(plan());
  told.tell(serviceResource('t/app', { settings: { timeoutMs: 700, tryTimeoutMs: 70 } }));
  assert.equal(wait.woken, 1);
  const composed = planned(plan());
  assert.deepEqual(
    [composed.route, composed.service, composed.timeoutMs, composed.tryTimeoutMs],
    ['t/', 't/app', 700, 70],
  );
  assert.equal(chosen(composed.backend()).service, 't/app');
  assert.equal(planned(plan()), composed, 'a plan is composed once');
});

test("a rule's own times come before those of its service", (context) => {
  const { plan, update, told } = gateway(context);
  update(shop('/', { timeoutMs: 5, tryTimeoutMs: 2 }));
  told.tell(serviceResource('t/app', { settings: { timeoutMs: 700, tryTimeoutMs: 70 } }));
  assert.deepEqual([planned(plan()).timeoutMs, planned(plan()).tryTimeoutMs], [5, 2]);
});

test('new settings of a backend are in force for every rule, and the retry budget stays', (context) => {
  const { plan, update, told } = gateway(context);
  update(shop('/a'), shop('/b'));
  const settings = { retryBudget: { ratio: 0, perSecond: 0.1 } };
  told.tell(serviceResource('t/app', { settings }));
  const before = planned(plan('/a'));
  assert.equal(planned(plan('/b')).timeoutMs, 0);
  assert.equal(before.retryBudget.tryRetry(1_000), true);
  told.tell(serviceResource('t/app', { settings: { ...settings, timeoutMs: 9 } }));
  for (const path of ['/a', '/b']) assert.equal(planned(plan(path)).timeoutMs, 9);
  assert.equal(planned(plan('/b')).retryBudget.tryRetry(1_000), false, 'it is one for all calls to it');
  told.tell(serviceResource('t/app', { settings: { ...settings, timeoutMs: 10 } }));
  for (const path of ['/a', '/b']) assert.equal(planned(plan(path)).timeoutMs, 10);
});

test('a service of which nothing is known after three seconds does not hold requests up; its settings come in later', (context) => {
  const { plan, update, told, pass } = gateway(context);
  update(shop());
  const wait = waiting(plan());
  pass(3_100);
  assert.equal(wait.woken, 1);
  const unknown = planned(plan());
  assert.equal(answered(unknown.backend()), '503 service-unknown-yet');
  told.tell(serviceResource('t/app', { settings: { timeoutMs: 700 } }));
  assert.equal(planned(plan()).timeoutMs, 700);
  assert.equal(chosen(unknown.backend()).service, 't/app', 'requests in flight find it too');
});

test('new routes replace the old at once', (context) => {
  const { plan, update, told } = gateway(context);
  update(shop('/a'), shop('/b', { timeoutMs: 1 }));
  told.tell(serviceResource('t/app'));
  for (const path of ['/a', '/b']) planned(plan(path));
  update(shop('/b', { timeoutMs: 2 }));
  assert.equal(answered(plan('/a')), '404 no-route');
  assert.equal(planned(plan('/b')).timeoutMs, 2);
  told.tell(serviceResource('t/app'));
  assert.equal(planned(plan('/b')).timeoutMs, 2);
});

test('backends are followed from the start and for good: the first visitor after a quiet night does not wait', (context) => {
  const { plan, update, told, pass } = gateway(context);
  update(routeTo('t/r', '/', { 't/v1': 1, 't/v2': 0 }));
  assert.deepEqual(told.asked, ['want service t/v1', 'want service t/v2']);
  told.tell(serviceResource('t/v1'));
  told.tell(serviceResource('t/v2'));
  pass(3_600_000);
  assert.equal(chosen(planned(plan()).backend()).service, 't/v1');
  assert.equal(told.asked.length, 2);
});

test('a rule that redirects needs no service', (context) => {
  const { plan, update } = gateway(context);
  update(routeTo('t/r', '/', {}, { redirect: { scheme: 'https' } }));
  const composed = planned(plan());
  assert.equal(composed.service, 't/edge');
  assert.equal(composed.chain.onRequest.length, 1);
});

test('a backend that there is not is answered, one beside it is served', (context) => {
  const { plan, update, told } = gateway(context);
  update(routeTo('t/gone', '/gone', { 't/gone': 1 }), shop('/app'));
  told.tellAbsent('service', 't/gone');
  told.tell(serviceResource('t/app'));
  assert.ok(!isPending(plan('/gone')));
  assert.equal(answered(planned(plan('/gone')).backend()), '503 no-service');
  chosen(planned(plan('/app')).backend());
});

test('a Gateway that was deleted is served no more, and who waits for one that is not there is told', (context) => {
  const { plan, router, update, told } = gateway(context);
  const first = waiting(plan());
  router.absent();
  assert.equal(first.woken, 1);
  assert.equal(answered(plan()), '404 no-route');
  update(shop());
  told.tell(serviceResource('t/app'));
  planned(plan());
  router.absent();
  assert.equal(answered(plan()), '404 no-route');
  assert.equal(router.known, false);
});

const passed = (hostname: string, backends: Readonly<Record<string, number>> = { 't/app': 1 }): Route => ({
  ...routeTo(`t/${hostname}`, '/', backends),
  kind: TLS_ROUTE,
  hostnames: [hostname],
});

test('TLS goes by the most specific server name: an exact one, then the longest wildcard', (context) => {
  const { router, update, told } = gateway(context);
  const services = ['t/exact', 't/near', 't/far', 't/all'];
  update(
    passed('*', { 't/all': 1 }),
    passed('*.test', { 't/far': 1 }),
    passed('*.shop.test', { 't/near': 1 }),
    passed('db.shop.test', { 't/exact': 1 }),
  );
  for (const key of services) told.tell(serviceResource(key));
  for (const [name, service] of [
    ['db.shop.test', 't/exact'],
    ['web.shop.test', 't/near'],
    ['a.db.shop.test', 't/near'],
    ['shop.test', 't/far'],
    ['test', 't/all'],
  ] as const)
    assert.equal(chosen(planned(router.tlsPlan(name)).backend()).service, service, name);
});

test('TLS goes to the backends of a TLSRoute by weight, and waits for the first word about them', (context) => {
  const { router, update, told } = gateway(context);
  const early = waiting(router.tlsPlan('shop.test'));
  update(passed('shop.test', { 't/app': 1, 't/off': 0 }));
  assert.equal(early.woken, 1);
  const wait = waiting(router.tlsPlan('shop.test'));
  told.tell(serviceResource('t/app'));
  assert.equal(wait.woken, 1);
  for (let i = 0; i < 20; i++)
    assert.equal(chosen(planned(router.tlsPlan('shop.test')).backend()).service, 't/app');
  update(passed('shop.test', { 't/app': 0 }));
  assert.equal(answered(planned(router.tlsPlan('shop.test')).backend()), '500 no-backend');
});

test('a server name reaches nothing but what a TLSRoute names, and a request nothing that only a TLSRoute names', (context) => {
  const { router, plan, update, told } = gateway(context);
  update(passed('tls.test'), { ...shop(), hostnames: ['http.test'] });
  told.tell(serviceResource('t/app'));
  planned(router.tlsPlan('tls.test'));
  planned(plan('/', 'http.test'));
  for (const name of ['http.test', 'app.t.svc.cluster.local', 'x.tls.test', '', undefined])
    assert.equal(answered(router.tlsPlan(name)), '421 sni-unknown', `name ${name}`);
  assert.equal(answered(plan('/', 'tls.test')), '404 no-route');
  router.absent();
  assert.equal(answered(router.tlsPlan('tls.test')), '421 sni-unknown');
});
