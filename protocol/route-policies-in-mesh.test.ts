import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { parseMesh } from './mesh-file.ts';
import { formatProblem } from './problem.ts';
import { resourcesOf } from './resources.ts';

const GATEWAY_API = 'gateway.networking.k8s.io/v1';

function route(kind: string, parent: object, rules: readonly object[]) {
  return {
    apiVersion: GATEWAY_API,
    kind,
    metadata: { name: 'r', namespace: 'shop' },
    spec: { parentRefs: [parent], rules },
  };
}

function policy(name: string, spec: object) {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name, namespace: 'shop' },
    spec,
  };
}

const WEB = { kind: 'Service', name: 'web' };
const EDGE = { kind: 'Gateway', name: 'edge' };
const RULES = [{ name: 'one', backendRefs: [{ name: 'web' }] }, { backendRefs: [{ name: 'web' }] }];

function read(policies: readonly object[], routes = [route('HTTPRoute', WEB, RULES)]) {
  const text = stringify({
    services: [{ name: 'web', namespace: 'shop', port: 80 }],
    gateway: [
      {
        apiVersion: GATEWAY_API,
        kind: 'Gateway',
        metadata: { name: 'edge', namespace: 'shop' },
        spec: { listeners: [{ name: 'h', port: 80, protocol: 'HTTP' }] },
      },
    ],
    routes,
    policies,
  });
  const { mesh, problems } = parseMesh(text, 'm.yaml');
  const resources = mesh && resourcesOf(mesh);
  return {
    told: problems.map(formatProblem),
    rules: resources?.services.get('shop/web')?.routes[0]?.rules.map(({ policy }) => policy?.set),
    edge: resources?.gateways.get('shop/edge')?.routes[0]?.rules.map(({ policy }) => policy?.set),
  };
}

const targetRef = { kind: 'HTTPRoute', name: 'r' };

test('a policy about a route holds for its rules, and one about a rule for that one', () => {
  const { told, rules } = read([
    policy('rule', { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '1s' }),
    policy('all', { targetRef, timeout: '2s', fault: 'abort 503 1%' }),
  ]);
  assert.deepEqual(told, []);
  const faults = [{ abort: { status: 503 }, share: 0.01 }];
  assert.deepEqual(rules, [
    { timeoutMs: 1000, faults },
    { timeoutMs: 2000, faults },
  ]);
});

test('a route of the same name and another kind is another route', () => {
  const both = [route('HTTPRoute', WEB, RULES), route('GRPCRoute', EDGE, RULES)];
  const { told, rules, edge } = read(
    [policy('p', { targetRef: { kind: 'GRPCRoute', name: 'r' }, timeout: '1s' })],
    both,
  );
  assert.deepEqual(told, []);
  assert.deepEqual(rules, [undefined, undefined]);
  assert.deepEqual(edge, [{ timeoutMs: 1000 }, { timeoutMs: 1000 }]);
});

test('a policy about a Gateway holds for all its routes, below what is said of them, and not for the mesh', () => {
  const policies = [
    policy('rule', { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '1s' }),
    policy('edge', { targetRef: EDGE, timeout: '3s', 'try-timeout': '1s' }),
  ];
  const { told, edge } = read(policies, [route('HTTPRoute', EDGE, RULES)]);
  assert.deepEqual(told, []);
  assert.deepEqual(edge, [
    { timeoutMs: 1000, tryTimeoutMs: 1000 },
    { timeoutMs: 3000, tryTimeoutMs: 1000 },
  ]);
  assert.deepEqual(read(policies).rules, [{ timeoutMs: 1000 }, undefined]);
});

test('a field that a route cannot have is told at its place, and the rest holds', () => {
  const { told, rules } = read([policy('p', { targetRef, allow: 'web', balance: 'random', timeout: '1s' })]);
  assert.equal(told.length, 2);
  assert.match(
    told[0] ?? '',
    /policies\[0\]\.spec\.balance: "random" belongs to a service and its endpoints/,
  );
  assert.match(told[1] ?? '', /policies\[0\]\.spec\.allow: "web" protects a service/);
  assert.deepEqual(rules, [{ timeoutMs: 1000 }, { timeoutMs: 1000 }]);
});

test('a name that is none of a rule, or stands at what has no rules, is refused', () => {
  const section = (target: object) => read([policy('p', { targetRef: { ...target, sectionName: 'two' } })]);
  const wrong = section(targetRef);
  assert.equal(wrong.rules, undefined);
  assert.match(
    wrong.told[0] ?? '',
    /sectionName: "two" is the name of none of the rules of the route; there are one/,
  );
  assert.match(section(WEB).told[0] ?? '', /only routes have rules/);
  assert.match(section(EDGE).told[0] ?? '', /only routes have rules/);
  const lost = read([policy('p', { targetRef: { kind: 'HTTPRoute', name: 'rr' } })]);
  assert.match(lost.told[0] ?? '', /perhaps HTTPRoute shop\/r was meant/);
});

test('a rule that a policy answers needs no backend', () => {
  const routes = [route('HTTPRoute', WEB, [{ name: 'one' }])];
  assert.match(read([], routes).told[0] ?? '', /no backend/);
  assert.deepEqual(read([policy('p', { targetRef, 'direct-response': '503 soon' })], routes).told, []);
});

test('the canary in the documentation has no problems', () => {
  const file = join(import.meta.dirname, '../docs/examples/canary.yaml');
  const { mesh, problems } = parseMesh(readFileSync(file, 'utf8'), file);
  assert.deepEqual(problems, []);
  const [asked, report, share] = mesh?.routes[0]?.rules ?? [];
  assert.equal(asked?.policy, undefined);
  assert.equal(report?.policy?.set.directResponse?.body, 'Reports are back at ten.\n');
  assert.deepEqual(share?.policy?.set.sticky?.by, ['header:x-user', 'cookie:lane']);
});
