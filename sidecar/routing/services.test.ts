import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoutePolicy } from '../../protocol/route-policy.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { answered, chosen, planned, waiting } from '../../test/fixture/routed.ts';
import {
  routeTo,
  serviceResource,
  type ToldServices,
  toldServices,
} from '../../test/fixture/told-services.ts';
import { isAnswer, isPending, retryBudgetOf } from './plan.ts';
import type { RunningService } from './services.ts';

const VIEW = exchangeFor('/');

/** A request for `path` to the service `key`. */
function request({ services }: ToldServices, key: string, path = '/') {
  return services.use(key, performance.now()).planFor(exchangeFor(path));
}

function addresses(service: RunningService): string[] {
  return service.cluster?.endpoints.map(({ address }) => address) ?? [];
}

function followed({ services }: ToldServices): string[] {
  return [...services.all()].map(({ key }) => key);
}

test('a service is asked for at its first use, and only then', (context) => {
  const { services, told } = toldServices(context);
  assert.deepEqual(told.asked, []);
  const service = services.use('t/app', 0);
  assert.equal(services.use('t/app', 0), service);
  services.use('t/other', 0);
  assert.deepEqual(told.asked, ['want service t/app', 'want service t/other']);
});

test('the first requests to a service wait for the word about it, and go on with it', (context) => {
  const mesh = toldServices(context);
  const first = waiting(request(mesh, 't/app'));
  const second = waiting(mesh.services.use('t/app', 0).backend());
  mesh.told.tell(serviceResource('t/other'));
  assert.deepEqual([first.woken, second.woken], [0, 0]);
  mesh.told.tell(serviceResource('t/app'));
  assert.deepEqual([first.woken, second.woken], [1, 1]);
  const plan = planned(request(mesh, 't/app'));
  assert.deepEqual(
    chosen(plan.backend()).endpoints.map(({ address }) => address),
    ['10.0.0.1:80'],
  );
});

test('requests to a service that there is not are answered as soon as that is known', (context) => {
  const mesh = toldServices(context);
  const first = waiting(request(mesh, 't/nobody'));
  mesh.told.tellAbsent('gateway', 't/nobody');
  assert.equal(first.woken, 0);
  mesh.told.tellAbsent('service', 't/nobody');
  assert.equal(first.woken, 1);
  const service = mesh.services.use('t/nobody', 0);
  assert.equal(answered(service.planFor(VIEW)), '404 no-service');
  assert.equal(answered(service.backend()), '503 no-service');
  assert.deepEqual([service.isUnknown, service.present], [false, false]);
});

test('a control plane that is away holds up the requests of the first three seconds only', (context) => {
  const mesh = toldServices(context);
  const first = waiting(request(mesh, 't/app'));
  mesh.pass(2_900);
  assert.ok(isPending(request(mesh, 't/app')));
  assert.equal(mesh.services.use('t/app', 0).isUnknown, true);
  mesh.pass(200);
  assert.equal(first.woken, 1);
  const service = mesh.services.use('t/app', performance.now());
  assert.equal(answered(service.planFor(VIEW)), '503 service-unknown-yet');
  assert.equal(answered(service.backend()), '503 service-unknown-yet');
  assert.equal(
    answered(service.waitOr({ status: 404, code: 'no-route', detail: '' })),
    '503 service-unknown-yet',
  );
  assert.equal(service.isUnknown, false);
  mesh.told.tell(serviceResource('t/app'));
  planned(service.planFor(VIEW));
});

test('a service that goes away takes its endpoints with it, and is served when it comes again', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', performance.now());
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/r', '/', { 't/app': 1 })] }));
  const [endpoint] = service.cluster?.endpoints ?? [];
  mesh.told.tellAbsent('service', 't/app');
  assert.equal(endpoint?.retired, true);
  assert.equal(answered(service.planFor(VIEW)), '404 no-service');
  assert.equal(service.resource, undefined);
  mesh.told.tell(serviceResource('t/app', { endpoints: ['10.0.0.2:80'] }));
  assert.deepEqual(addresses(service), ['10.0.0.2:80']);
  assert.equal(planned(service.planFor(VIEW)).route, '');
});

test('a service that nobody used for 90 s is followed no more, and asked for anew at its next use', (context) => {
  const mesh = toldServices(context);
  const { services, told, pass } = mesh;
  const service = services.use('t/app', performance.now());
  told.tell(serviceResource('t/app'));
  const [endpoint] = service.cluster?.endpoints ?? [];
  for (let s = 0; s < 75; s += 15) pass(15_000);
  services.use('t/app', performance.now());
  for (let s = 0; s < 75; s += 15) pass(15_000);
  assert.deepEqual(told.asked, ['want service t/app']);
  pass(15_000);
  assert.deepEqual(told.asked, ['want service t/app', 'drop service t/app']);
  assert.equal(endpoint?.retired, true);
  assert.equal(service.present, false);
  told.tell(serviceResource('t/app'));
  assert.deepEqual(followed(mesh), [], 'a word that comes late brings nothing back');
  assert.ok(isPending(request(mesh, 't/app')));
  assert.equal(told.asked.at(-1), 'want service t/app');
});

test('a service that is busy is not dropped, however long its request takes', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', performance.now());
  mesh.told.tell(serviceResource('t/app'));
  const use = service.cluster?.use ?? assert.fail();
  use.requests = 1;
  mesh.pass(600_000);
  assert.deepEqual(followed(mesh), ['t/app']);
  use.requests = 0;
  mesh.pass(15_000);
  assert.deepEqual(followed(mesh), []);
});

test('a pinned service is never dropped', (context) => {
  const mesh = toldServices(context);
  mesh.services.pin('t/own');
  mesh.pass(600_000);
  assert.deepEqual(followed(mesh), ['t/own']);
});

test('a caller who invents host names pushes out invented names only, the oldest first', (context) => {
  const mesh = toldServices(context);
  const { services, told } = mesh;
  services.pin('t/own');
  services.use('t/app', performance.now());
  told.tell(serviceResource('t/app'));
  for (let i = 0; i < 5_000; i++) {
    services.use(`t/x${i}`, performance.now());
    if (i % 2 === 0) told.tellAbsent('service', `t/x${i}`);
  }
  const names = followed(mesh);
  assert.equal(names.length, 4_096);
  assert.deepEqual(names.slice(0, 3), ['t/own', 't/app', `t/x${5_000 - 4_094}`]);
  assert.equal(told.asked.filter((line) => line.startsWith('drop')).length, 5_002 - 4_096);
  planned(request(mesh, 't/app'));
});

test('a caller who invents host names and waits for each makes none of them push out another', (context) => {
  const mesh = toldServices(context);
  const { services, told } = mesh;
  let again = 0;
  const call = (key: string): void => {
    const routed = request(mesh, key);
    if (isPending(routed))
      routed.wait(() => {
        again++;
        call(key);
      });
    else assert.ok(isAnswer(routed));
  };
  for (let i = 0; i < 4_200; i++) call(`t/x${i}`);
  assert.equal(again, 0);
  assert.equal(followed(mesh).length, 4_200);
  for (let i = 0; i < 4_200; i++) told.tellAbsent('service', `t/x${i}`);
  assert.equal(again, 4_200, 'each went on once');
  services.use('t/new', performance.now());
  assert.ok(!followed(mesh).includes('t/x0'), 'those that nobody waits for make room again');
});

test('among very many names of no service, one that turns out to be there keeps its place when its routes come', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', performance.now());
  for (let i = 1; i < 4_096; i++) mesh.services.use(`t/x${i}`, performance.now());
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/r', '/', { 't/v2': 1 })] }));
  assert.equal(mesh.services.use('t/app', performance.now()), service);
  assert.equal(service.present, true);
  assert.ok(!mesh.told.asked.includes('drop service t/app'));
});

test('without a route a request goes to the service itself, by its settings', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app'));
  const plain = planned(service.planFor(VIEW));
  assert.deepEqual([plain.route, plain.service, plain.timeoutMs, plain.tryTimeoutMs], ['', 't/app', 0, 0]);
  assert.match(plain.why, /^no route is attached to t\/app/);
  mesh.told.tell(serviceResource('t/app', { settings: { timeoutMs: 700, tryTimeoutMs: 70 } }));
  const limited = planned(service.planFor(VIEW));
  assert.deepEqual([limited.timeoutMs, limited.tryTimeoutMs], [700, 70]);
  assert.equal(limited.settings.timeoutMs, 700);
  assert.equal(chosen(plain.backend()), chosen(limited.backend()), 'its endpoints are the same');
});

test('with routes a request goes by the rule that matches it, and nowhere when none does', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  const settings = { timeoutMs: 700, tryTimeoutMs: 70 };
  const routes = [
    routeTo('t/a', '/a', { 't/app': 1 }),
    routeTo('t/b', '/b', { 't/app': 1 }, { timeoutMs: 5, tryTimeoutMs: 1 }),
  ];
  mesh.told.tell(serviceResource('t/app', { settings, routes }));
  const a = planned(service.planFor(exchangeFor('/a/1')));
  const b = planned(service.planFor(exchangeFor('/b')));
  assert.deepEqual([a.route, a.timeoutMs, a.tryTimeoutMs], ['t/a', 700, 70]);
  assert.deepEqual([b.route, b.timeoutMs, b.tryTimeoutMs], ['t/b', 5, 1]);
  assert.equal(answered(service.planFor(exchangeFor('/c'))), '404 no-route');
  assert.equal(planned(service.planFor(exchangeFor('/a/2'))), a, 'a plan is composed once');
  mesh.told.tell(serviceResource('t/app', { routes: routes.slice(0, 1) }));
  const anew = planned(service.planFor(exchangeFor('/a')));
  assert.equal(anew.timeoutMs, 0, 'and anew when the configuration comes anew');
  assert.equal(answered(service.planFor(exchangeFor('/b'))), '404 no-route');
});

test('the filters of a rule are in its plan', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  const rule = { requestHeaders: { set: [['x-a', '1'] as const] } };
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/a', '/', { 't/app': 1 }, rule)] }));
  assert.equal(planned(service.planFor(VIEW)).chain.onRequest.length, 1);
});

test('the retry budget is one for all routes of a service, and survives changes of its configuration', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  const settings = { retryBudget: { ratio: 0, perSecond: 0.2 } };
  mesh.told.tell(serviceResource('t/app', { settings }));
  const before = planned(service.planFor(VIEW)).retryBudget;
  assert.equal(before.tryRetry(1_000), true);
  mesh.told.tell(serviceResource('t/app', { settings, routes: [routeTo('t/r', '/', { 't/app': 1 })] }));
  const after = planned(service.planFor(VIEW)).retryBudget;
  assert.equal(after.tryRetry(1_000), true);
  assert.equal(after.tryRetry(1_000), false, 'two in ten seconds, as before');
  mesh.told.tell(serviceResource('t/app', { settings: { retryBudget: { ratio: 0, perSecond: 0.3 } } }));
  assert.equal(before.tryRetry(1_000), true, 'new limits hold for the same past');
  assert.equal(before.tryRetry(1_000), false);
});

test('a small backend of a route has a retry budget of its own, not that of all requests of the route', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  const settings = { retryBudget: { ratio: 0.2, perSecond: 0 } };
  const routes = [routeTo('t/r', '/', { 't/app': 99, 't/next': 1 })];
  mesh.told.tell(serviceResource('t/app', { settings, routes }));
  mesh.told.tell(serviceResource('t/next', { settings }));
  const plan = planned(service.planFor(VIEW));
  const [app, next] = [retryBudgetOf(plan, 't/app'), retryBudgetOf(plan, 't/next')];
  for (let i = 0; i < 99; i++) app.countRequest(1_000);
  for (let i = 0; i < 5; i++) next.countRequest(1_000);
  assert.deepEqual([next.tryRetry(1_000), next.tryRetry(1_000)], [true, false]);
  assert.equal(app, service.retryBudget);
});

test('the backends of routes are followed as soon as the routes are known', (context) => {
  const mesh = toldServices(context);
  mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/r', '/', { 't/v1': 9, 't/v2': 1 })] }));
  assert.deepEqual(mesh.told.asked, ['want service t/app', 'want service t/v1', 'want service t/v2']);
});

test('a request to a backend that is not known yet waits for it, and one to a backend that is not there is answered', (context) => {
  const mesh = toldServices(context);
  const routes = [
    routeTo('t/new', '/new', { 't/v2': 1, 't/v1': 0 }),
    routeTo('t/none', '/none', { 't/v1': 0 }),
    routeTo('t/gone', '/gone', { 't/gone': 1 }),
  ];
  mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app', { routes }));
  const plan = planned(request(mesh, 't/app', '/new'));
  const wait = waiting(plan.backend());
  mesh.told.tell(serviceResource('t/v2'));
  assert.equal(wait.woken, 1);
  assert.equal(chosen(plan.backend()).service, 't/v2');
  assert.equal(answered(planned(request(mesh, 't/app', '/none')).backend()), '500 no-backend');
  mesh.told.tellAbsent('service', 't/gone');
  assert.equal(answered(planned(request(mesh, 't/app', '/gone')).backend()), '503 no-service');
});

test('a backend in use by a route of another service is not dropped', (context) => {
  const mesh = toldServices(context);
  mesh.services.pin('t/app');
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/r', '/', { 't/v1': 1 })] }));
  mesh.told.tell(serviceResource('t/v1'));
  for (let s = 0; s < 300; s += 15) {
    mesh.pass(15_000);
    chosen(planned(request(mesh, 't/app')).backend());
  }
  assert.deepEqual(followed(mesh), ['t/app', 't/v1']);
});

test('who listens is told of services that are followed, once they serve by the new word', (context) => {
  const mesh = toldServices(context);
  const seen: string[] = [];
  mesh.services.onService(({ key }) => seen.push(`${key} ${mesh.services.use(key, 0).present}`));
  mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app'));
  mesh.told.tell(serviceResource('t/stranger'));
  assert.deepEqual(seen, ['t/app true']);
});

test('the end of the data plane ends every wait and every endpoint', (context) => {
  const mesh = toldServices(context);
  const service = mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app'));
  const [endpoint] = service.cluster?.endpoints ?? [];
  const wait = waiting(request(mesh, 't/unknown'));
  mesh.services.close();
  assert.equal(wait.woken, 1);
  assert.equal(endpoint?.retired, true);
  assert.deepEqual(followed(mesh), []);
  const before = mesh.told.asked.length;
  mesh.pass(600_000);
  assert.equal(mesh.told.asked.length, before);
});

test('a backend that cannot be used gets its share of requests, and each is answered 500 with the reason', (context) => {
  const chances = [0.2, 0.7, 0.6];
  context.mock.method(Math, 'random', () => chances.shift() ?? 0);
  const mesh = toldServices(context);
  const invalid = 'Service away/secret may not be named';
  const route = routeTo('t/r', '/', { 't/app': 1 });
  const backends = [
    { service: 't/app', weight: 1 },
    { service: 'away/secret', weight: 1, invalid },
  ];
  const [rule] = route.rules;
  assert.ok(rule);
  mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app', { routes: [{ ...route, rules: [{ ...rule, backends }] }] }));
  const plan = planned(request(mesh, 't/app'));
  const exchange = exchangeFor('/');
  assert.equal(chosen(plan.backend(exchange)).service, 't/app');
  assert.equal(exchange.backend?.service, 't/app');
  assert.equal(answered(plan.backend()), '500 invalid-backend');
  const answer = plan.backend();
  assert.match(isAnswer(answer) ? answer.detail : '', /rule 1.*Service away\/secret may not be named/);
});

test('hostnames of a route are for Gateways: calls to a Service have no name but its own', (context) => {
  const mesh = toldServices(context);
  mesh.services.use('t/app', 0);
  const route = { ...routeTo('t/r', '/', { 't/app': 1 }), hostnames: ['shop.example.test'] };
  mesh.told.tell(serviceResource('t/app', { routes: [route] }));
  assert.equal(planned(request(mesh, 't/app')).route, 't/r');
});

test("a rule's retries and times take the place of the service's, and 0 is no limit", (context) => {
  const mesh = toldServices(context);
  mesh.services.use('t/app', 0);
  const plain = routeTo('t/plain', '/plain', { 't/app': 1 });
  const own = routeTo(
    't/own',
    '/own',
    { 't/app': 1 },
    { retry: { attempts: 4, codes: [503], backoffMs: 25 }, timeoutMs: 0, tryTimeoutMs: 0 },
  );
  const open = routeTo('t/open', '/open', { 't/app': 1 }, { retry: { codes: [] } });
  const settings = { timeoutMs: 1000, tryTimeoutMs: 500, retries: { attempts: 0, on: [] } };
  mesh.told.tell(serviceResource('t/app', { settings, routes: [plain, own, open] }));
  const of = (path: string) => {
    const { settings: got, timeoutMs, tryTimeoutMs, backoffMs } = planned(request(mesh, 't/app', path));
    return { ...got.retries, timeoutMs, tryTimeoutMs, backoffMs };
  };
  assert.deepEqual(of('/plain'), {
    attempts: 0,
    on: [],
    timeoutMs: 1000,
    tryTimeoutMs: 500,
    backoffMs: undefined,
  });
  const unreached = ['connect', 'reset', 'refused-stream', 'try-timeout'];
  const none = { timeoutMs: 0, tryTimeoutMs: 0 };
  assert.deepEqual(of('/own'), { attempts: 4, on: [...unreached, 503], ...none, backoffMs: 25 });
  assert.deepEqual(of('/open'), {
    ...{ attempts: 1, on: unreached },
    ...{ timeoutMs: 1000, tryTimeoutMs: 500, backoffMs: undefined },
  });
});

test('mirrors are followed before the first request, and one that cannot be used is left out', (context) => {
  const mesh = toldServices(context);
  const mirrors = [
    { service: 't/copy', share: 0.5 },
    { service: 't/never', share: 0 },
    { service: 't/wrong', share: 1, invalid: 'Service t/wrong does not exist' },
  ];
  mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app', { routes: [routeTo('t/r', '/', { 't/app': 1 }, { mirrors })] }));
  assert.ok(followed(mesh).includes('t/copy'));
  const [only, ...others] = planned(request(mesh, 't/app')).mirrors ?? [];
  assert.deepEqual([only?.service, only?.share, others], ['t/copy', 0.5, []]);
  mesh.told.tell(serviceResource('t/copy'));
  const backend = only?.backend();
  assert.ok(backend);
  assert.equal(chosen(backend).service, 't/copy');
  mesh.told.tell(
    serviceResource('t/app', {
      routes: [routeTo('t/r', '/', { 't/app': 1 }, { mirrors: mirrors.slice(1) })],
    }),
  );
  assert.equal(planned(request(mesh, 't/app')).mirrors, undefined);
});

test('what a policy says of a rule goes before the service, and the rule itself before the policy', (context) => {
  const mesh = toldServices(context);
  const policy: RoutePolicy = {
    set: {
      timeoutMs: 900,
      retries: { attempts: 3, on: [503] },
      faults: [{ share: 1, abort: { status: 500 } }],
    },
    unset: ['tryTimeoutMs'],
  };
  const settings = { timeoutMs: 700, tryTimeoutMs: 70, sticky: { by: ['ip'] } };
  const both = { 't/app': 1, 't/v2': 1 };
  const routes = [
    routeTo('t/a', '/a', both, { policy }),
    routeTo('t/b', '/b', both, { policy, timeoutMs: 5, retry: { attempts: 1, codes: [502] } }),
    routeTo('t/c', '/c', { 't/app': 1, 't/v2': 0 }),
  ];
  const app = mesh.services.use('t/app', 0);
  mesh.told.tell(serviceResource('t/app', { settings, routes }));
  const planOf = (path: string) => planned(app.planFor(exchangeFor(path)));
  const [a, b, c] = [planOf('/a'), planOf('/b'), planOf('/c')];
  assert.deepEqual([a.timeoutMs, a.tryTimeoutMs, a.settings.retries.attempts], [900, 0, 3]);
  assert.deepEqual([b.timeoutMs, b.tryTimeoutMs, b.settings.retries.attempts], [5, 0, 1]);
  assert.deepEqual(a.chain.names, ['fault', 'sticky']);
  assert.deepEqual([c.timeoutMs, c.tryTimeoutMs], [700, 70]);
  assert.deepEqual(c.chain.names, [], 'there is no other backend to stay away from');
});

test('what an annotation says holds without a route too, and what nobody says costs nothing', (context) => {
  const mesh = toldServices(context);
  const settings = { directResponse: { status: 503, headers: [], body: '' }, sticky: { by: ['ip'] } };
  const names = (key: string, more: object) => {
    const service = mesh.services.use(key, 0);
    mesh.told.tell(serviceResource(key, { settings: more }));
    return planned(service.planFor(VIEW)).chain.names;
  };
  assert.deepEqual(names('t/app', settings), ['direct-response']);
  assert.deepEqual(names('t/plain', {}), []);
});

test('a caller that is known again gets the same backend, others one by chance', (context) => {
  const mesh = toldServices(context);
  const app = mesh.services.use('t/app', 0);
  const routes = [routeTo('t/r', '/', { 't/app': 1, 't/v2': 1 })];
  mesh.told.tell(serviceResource('t/app', { settings: { sticky: { by: ['header:u'] } }, routes }));
  const backends = (sticky: (index: number) => number) => {
    const plan = planned(app.planFor(VIEW));
    return Array.from({ length: 100 }, (_, index) => {
      const exchange = exchangeFor('/');
      exchange.sticky = sticky(index);
      plan.backend(exchange);
      return exchange.backend?.service;
    });
  };
  for (const caller of [0, 1, 2 ** 32 - 1]) assert.equal(new Set(backends(() => caller)).size, 1);
  const two = ['t/app', 't/v2'];
  assert.deepEqual([...new Set(backends((index) => index * 7919))].sort(), two);
  // That chance gives all of 100 to one happens once in 2^99.
  assert.deepEqual([...new Set(backends(() => -1))].sort(), two);
});
