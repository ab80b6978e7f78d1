import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServiceResource } from '../../protocol/resources.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { answered, chosen, planned, waiting } from '../../test/fixture/routed.ts';
import { routeTo, serviceResource, toldServices } from '../../test/fixture/told-services.ts';
import { Quotas } from '../quotas/quotas.ts';
import { policyOfService } from '../routing/inbound-policy.ts';
import { InboundRouter } from './inbound.ts';

const ACCESS = [
  {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { namespace: 't', name: 'keys' },
    spec: { targetRef: { kind: 'Service', name: 'app' } },
  } as ServiceResource['access'][number],
];

function inbound(context: TestContext) {
  const mesh = toldServices(context);
  const router = new InboundRouter(
    policyOfService(mesh.services.pin('t/app')),
    '127.0.0.1:8080',
    mesh.parts,
    new Quotas(),
  );
  context.after(() => router.close());
  return { ...mesh, router };
}

/** What the filters say to a caller: undefined, or the code of the first refusal. */
function verdict(router: InboundRouter, { mtls = false, peer = '' } = {}): string | undefined {
  const exchange = exchangeFor('/');
  exchange.mtls = mtls;
  exchange.peer = peer;
  const control = { resume: () => assert.fail(), answer: () => assert.fail() };
  for (const filter of planned(router.plan()).chain.onRequest) {
    const said = filter.onRequest(exchange, control);
    if (said !== undefined) return typeof said === 'string' ? said : said.code;
  }
  return undefined;
}

test('while the policy is unknown nobody is let in: the first requests wait for it, later ones are refused', (context) => {
  const { router, told, pass } = inbound(context);
  const first = waiting(router.plan());
  pass(2_900);
  waiting(router.plan());
  pass(200);
  assert.equal(first.woken, 1);
  assert.equal(answered(router.plan()), '503 service-unknown-yet');
  told.tell(serviceResource('t/app'));
  planned(router.plan());
});

test('beside a service that the registry does not have nobody is let in, before and after it had it', (context) => {
  const { router, told } = inbound(context);
  const wait = waiting(router.plan());
  told.tellAbsent('service', 't/app');
  assert.equal(wait.woken, 1);
  assert.equal(answered(router.plan()), '503 no-service');
  told.tell(serviceResource('t/app'));
  planned(router.plan());
  told.tellAbsent('service', 't/app');
  assert.equal(answered(router.plan()), '503 no-service');
});

test('TLS of another kind is kept out unless the service is known to be permissive: an attacker who comes before the policy gains nothing', (context) => {
  const { router, told } = inbound(context);
  assert.equal(router.strict, true);
  told.tell(serviceResource('t/app', { settings: { mtls: 'permissive' } }));
  assert.equal(router.strict, false);
  told.tell(serviceResource('t/app', { settings: { mtls: 'strict' } }));
  assert.equal(router.strict, true);
  told.tell(serviceResource('t/app', { settings: { mtls: 'permissive' } }));
  told.tellAbsent('service', 't/app');
  assert.equal(router.strict, true);
});

test('mTLS is asked for first, then the identity, then what is not enforced is refused', (context) => {
  const { router, told } = inbound(context);
  told.tell(serviceResource('t/app', { settings: { mtls: 'strict', allow: ['web'] }, access: ACCESS }));
  assert.deepEqual(planned(router.plan()).chain.names, ['mtls', 'allow', 'access-policy']);
  assert.equal(verdict(router), 'mtls-required');
  assert.equal(verdict(router, { mtls: true, peer: 't/thief' }), 'not-allowed');
  assert.equal(verdict(router, { mtls: true, peer: 't/web' }), 'policy-not-enforced');
});

test('a service that protects nothing lets everybody in, at no cost', (context) => {
  const { router, told } = inbound(context);
  told.tell(serviceResource('t/app'));
  assert.deepEqual(planned(router.plan()).chain.onRequest, []);
});

test('an empty list of allowed callers lets nobody in', (context) => {
  const { router, told } = inbound(context);
  told.tell(serviceResource('t/app', { settings: { allow: [] } }));
  assert.equal(verdict(router, { mtls: true, peer: 't/web' }), 'not-allowed');
});

test('a new policy is in force with the next request, and connections to the application stay', (context) => {
  const { router, told } = inbound(context);
  told.tell(serviceResource('t/app', { settings: { limits: { connections: 1, pending: 2, requests: 3 } } }));
  const before = chosen(planned(router.plan()).backend());
  const [endpoint] = before.endpoints;
  assert.equal(planned(router.plan()), planned(router.plan()), 'a plan is composed once');
  assert.equal(verdict(router), undefined);
  told.tell(
    serviceResource('t/app', {
      settings: { mtls: 'strict', limits: { connections: 4, pending: 5, requests: 6 } },
    }),
  );
  assert.equal(verdict(router), 'mtls-required');
  const after = chosen(planned(router.plan()).backend());
  assert.equal(after, before);
  assert.equal(after.endpoints[0], endpoint);
  assert.deepEqual([after.limits.connections, after.limits.requests], [4, 6]);
});

test('calls go to the application, wherever the registry says that the service is; routes are for callers', (context) => {
  const { router, told } = inbound(context);
  told.tell(
    serviceResource('t/app', {
      endpoints: ['10.0.0.1:80', '10.0.0.2:80'],
      routes: [routeTo('t/r', '/never', { 't/other': 1 })],
    }),
  );
  const plan = planned(router.plan());
  assert.deepEqual([plan.route, plan.service], ['', 't/app']);
  assert.deepEqual(
    chosen(plan.backend()).endpoints.map(({ address, identity }) => [address, identity]),
    [['127.0.0.1:8080', undefined]],
  );
});

test("retries and times are the caller's to make: here they do not add up", (context) => {
  const { router, told } = inbound(context);
  const settings = { retries: { attempts: 5, on: ['5xx' as const] }, timeoutMs: 9, tryTimeoutMs: 3 };
  told.tell(serviceResource('t/app', { settings }));
  const plan = planned(router.plan());
  assert.deepEqual(plan.settings.retries, { attempts: 1, on: ['refused-stream'] });
  assert.deepEqual([plan.timeoutMs, plan.tryTimeoutMs], [0, 0]);
});

test('the retry budget survives changes of the configuration', (context) => {
  const { router, told } = inbound(context);
  const settings = { retryBudget: { ratio: 0, perSecond: 0.1 } };
  told.tell(serviceResource('t/app', { settings }));
  assert.equal(planned(router.plan()).retryBudget.tryRetry(1_000), true);
  told.tell(serviceResource('t/app', { settings }));
  assert.equal(planned(router.plan()).retryBudget.tryRetry(1_000), false);
});
