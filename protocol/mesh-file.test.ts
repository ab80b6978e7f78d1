import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from './default-settings.ts';
import type { Mesh } from './mesh.ts';
import { parseMesh } from './mesh-file.ts';
import { formatProblem } from './problem.ts';

const SHOP = `services:
  - { name: orders, namespace: shop, port: 80 }
  - { name: web, namespace: shop, port: 80 }
`;

/** A route of the shop, from its `spec`; its lines begin after those of SHOP. */
const route = (spec: string, kind = 'HTTPRoute') => `${SHOP}routes:
  - apiVersion: gateway.networking.k8s.io/v1
    kind: ${kind}
    metadata: { name: canary, namespace: shop }
    spec: ${spec}
`;

const policy = (kind: string, spec: string) => `${SHOP}policies:
  - apiVersion: tulle.dev/v1alpha1
    kind: ${kind}
    metadata: { name: p, namespace: shop }
    spec: ${spec}
`;

/** What is told of a file that cannot be used, a line a problem. */
function refused(text: string): string[] {
  const { mesh, problems } = parseMesh(text, 'm.yaml');
  assert.equal(mesh, undefined);
  assert.ok(problems.some(({ severity }) => severity === 'error'));
  return problems.map(formatProblem);
}

/** The mesh of a file, and what is told of it nevertheless. */
function taken(text: string): { mesh: Mesh; told: string[] } {
  const { mesh, problems } = parseMesh(text, 'm.yaml');
  return {
    mesh: mesh ?? assert.fail(problems.map(formatProblem).join('\n')),
    told: problems.map((problem) => `${problem.severity} ${formatProblem(problem)}`),
  };
}

const settingsOf = (mesh: Mesh, name: string) =>
  mesh.services.find(({ service }) => service.name === name)?.settings;

test('the example in the documentation has no problems', () => {
  const file = join(import.meta.dirname, '../docs/examples/mesh.yaml');
  const { mesh, told } = taken(readFileSync(file, 'utf8'));
  assert.deepEqual(told, []);
  assert.equal(mesh.trustDomain, 'example.test');
  assert.deepEqual(
    mesh.services.map(({ service }) => service.name),
    ['orders', 'orders-next'],
  );
  assert.deepEqual(settingsOf(mesh, 'orders'), {
    ...DEFAULT_SETTINGS,
    retries: { attempts: 2, on: ['connect', 503] },
    timeoutMs: 2000,
  });
  assert.deepEqual(
    mesh.routes[0]?.rules.map(({ backends }) => backends),
    [
      [{ service: 'shop/orders-next', weight: 1 }],
      [
        { service: 'shop/orders', weight: 95 },
        { service: 'shop/orders-next', weight: 5 },
      ],
    ],
  );
});

test('what is not said has its default', () => {
  const { mesh, told } = taken('services: []');
  assert.deepEqual(told, []);
  assert.deepEqual(mesh, {
    trustDomain: 'mesh.local',
    services: [],
    routes: [],
    access: [],
    aggregates: [],
    gateways: [],
    gatewayPolicies: new Map(),
    quotas: { store: 'memory' },
  });
});

test('a file that is empty, as while it is written, is no mesh without services', () => {
  for (const text of ['', '\n\n', '# services:\n', '---\n', 'null', '~']) {
    assert.deepEqual(refused(text), ['m.yaml: is empty; write at least "services: []"']);
  }
});

test('what is not YAML is told with its place', () => {
  assert.deepEqual(refused('services:\n\t- a'), [
    'm.yaml:2:1: this is not YAML: Tabs are not allowed as indentation',
  ]);
  assert.match(refused('services: [')[0] ?? '', /^m\.yaml:1:12: this is not YAML: Flow sequence in block/);
  assert.deepEqual(refused('services: []\n---\nservices: []'), [
    'm.yaml:2:1: this is not YAML: Source contains multiple documents; please use YAML.parseAllDocuments()',
  ]);
  assert.ok(refused(']\n'.repeat(1000)).length <= 20);
});

test('a key that stands twice is told, at any depth: of two values one would be lost', () => {
  assert.deepEqual(refused('services: []\nservices: []'), [
    'm.yaml:2:1: this is not YAML: Map keys must be unique',
  ]);
  assert.deepEqual(refused('services:\n  - name: a\n    port: 1\n    name: b\n'), [
    'm.yaml:4:5: this is not YAML: Map keys must be unique',
  ]);
});

test('another document than a mapping is told', () => {
  assert.deepEqual(refused('- a'), ['m.yaml:1:1: a list is not a mapping']);
  assert.deepEqual(refused('5'), ['m.yaml:1:1: 5 is not a mapping']);
});

test('a wrong value is told with file, line, column, field, value, what is wrong and what was meant', () => {
  assert.deepEqual(refused('services:\n  - name: a\n    port: http\n'), [
    'm.yaml:3:11 services[0].port: "http" is not a port number; write a whole number from 1 to 65535, like 8080',
  ]);
  assert.deepEqual(
    refused('services:\n  - { name: Orders, port: 1, protocol: htp, endpoints: [9001, "a"] }'),
    [
      'm.yaml:2:13 services[0].name: "Orders" is not a name; write lower-case letters, digits and -, at most 63, like orders',
      'm.yaml:2:40 services[0].protocol: "htp" is not a protocol; write one of detect, http, http2, grpc, tcp',
      'm.yaml:2:57 services[0].endpoints[0]: 9001 is not a text (put it in quotes)',
      'm.yaml:2:63 services[0].endpoints[1]: "a" is not an address; write HOST:PORT, like 127.0.0.1:9001 or [::1]:9001',
    ],
  );
  assert.deepEqual(refused('trustDomain: 5'), [
    "m.yaml:1:14 trustDomain: 5 is not a trust domain; write the mesh's name in certificates, like example.test",
  ]);
  assert.deepEqual(refused('trustDomain: a/b'), [
    'm.yaml:1:14 trustDomain: "a/b" is not a trust domain; write a name like example.test',
  ]);
});

test('what is missing is told at the place of what it is missing from', () => {
  assert.deepEqual(refused('services:\n  - { name: a }'), [
    'm.yaml:2:5 services[0].port: is missing; write a whole number from 1 to 65535, like 8080',
  ]);
});

test('a field that does not exist is told with a guess', () => {
  assert.deepEqual(refused('servces: []\nquotas: { stor: memory }'), [
    'm.yaml:2:17 quotas.stor: "stor" is not a field that is known here; perhaps store was meant',
    'm.yaml:1:10 servces: "servces" is not a field that is known here; perhaps services was meant',
  ]);
});

test('an annotation that is no text is told: YAML makes numbers and switches of words', () => {
  assert.deepEqual(
    refused('services:\n  - { name: a, port: 1, annotations: { tulle.dev/coalesce: true } }'),
    ['m.yaml:2:60 services[0].annotations.tulle.dev/coalesce: true is not a text; put the value in quotes'],
  );
});

test('two services of one name are told; in two namespaces they are two', () => {
  assert.deepEqual(refused(`${SHOP}  - { name: orders, namespace: shop, port: 81 }`), [
    'm.yaml:4:13 services[2].name: "orders" stands for a second service shop/orders; the first is services[0]; give each service of a namespace its own name',
  ]);
  assert.equal(taken(`${SHOP}  - { name: orders, port: 81 }`).mesh.services.length, 3);
});

test('a backend that does not exist is told with a guess', () => {
  const spec = '{ parentRefs: [{ kind: Service, name: web }], rules: [{ backendRefs: [{ name: order }] }] }';
  assert.deepEqual(refused(route(spec)), [
    'm.yaml:8:89 routes[0].spec.rules[0].backendRefs[0].name: Service shop/order does not exist in this file; perhaps shop/orders was meant',
  ]);
  assert.deepEqual(refused(route(spec.replace('name: order }', 'name: xyz, namespace: people }'))), [
    'm.yaml:8:89 routes[0].spec.rules[0].backendRefs[0].name: Service people/xyz does not exist in this file; there are shop/orders, shop/web',
  ]);
});

test('a parent that does not exist is told, a gateway or listener set as well as a service', () => {
  const rules = 'rules: [{ backendRefs: [{ name: web }] }]';
  assert.deepEqual(refused(route(`{ parentRefs: [{ kind: Service, name: wbe }], ${rules} }`)), [
    'm.yaml:8:49 routes[0].spec.parentRefs[0].name: Service shop/wbe does not exist in this file; perhaps shop/web was meant',
  ]);
  assert.deepEqual(refused(route(`{ parentRefs: [{ name: web }], ${rules} }`)), [
    'm.yaml:8:34 routes[0].spec.parentRefs[0].name: Gateway shop/web does not exist in this file; there are none',
  ]);
  assert.deepEqual(refused(route(`{ parentRefs: [{ kind: ListenerSet, name: web }], ${rules} }`)), [
    'm.yaml:8:53 routes[0].spec.parentRefs[0].name: ListenerSet shop/web does not exist in this file; there are none',
  ]);
});

test('of two routes of one name, the one that is wrong is told', () => {
  const spec = (name: string) =>
    `{ parentRefs: [{ kind: Service, name: web }], rules: [{ backendRefs: [{ name: ${name} }] }] }`;
  const second = route(spec('zzz')).slice(route(spec('zzz')).indexOf('  - apiVersion'));
  assert.match(
    refused(`${route(spec('web'))}${second}`).join('\n'),
    /^m\.yaml:\d+:\d+ routes\[1\]\.metadata\.name: .*\nm\.yaml:12:89 routes\[1\]\.spec\.rules/,
  );
  const grpc = second.replace('HTTPRoute', 'GRPCRoute');
  assert.match(
    refused(`${route(spec('web'))}${grpc}`).join('\n'),
    /^m\.yaml:12:89 routes\[1\]\.spec\.rules/m,
  );
});

test('a rule whose requests would all be answered 500 is told, a redirect is not', () => {
  const spec = (rule: string) => `{ parentRefs: [{ kind: Service, name: web }], rules: [${rule}] }`;
  const told = [
    'warning m.yaml:8:65 routes[0].spec.rules[0]: has no backend with a weight above 0: its requests are answered 500; name a backend',
  ];
  assert.deepEqual(taken(route(spec('{ matches: [] }'))).told, told);
  assert.deepEqual(taken(route(spec('{ backendRefs: [{ name: web, weight: 0 }] }'))).told, told);
  const redirect = '{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: h } }] }';
  assert.deepEqual(taken(route(spec(redirect))).told, []);
});

test('a TLSRoute is read, and told what its connections would meet', () => {
  const spec = (weight: number) =>
    `{ parentRefs: [{ name: edge }], hostnames: [a.test], rules: [{ backendRefs: [{ name: web, weight: ${weight} }] }] }`;
  const gateway = `gateway:
  - { apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: { name: edge, namespace: shop }, spec: { listeners: [{ name: t, port: 443, protocol: TLS }] } }
`;
  const { mesh, told } = taken(`${route(spec(1), 'TLSRoute')}${gateway}`);
  assert.deepEqual(told, []);
  assert.equal(mesh.routes[0]?.kind, 'TLSRoute');
  assert.match(
    taken(`${route(spec(0), 'TLSRoute')}${gateway}`).told.join(),
    /no backend with a weight above 0: its connections are reset/,
  );
});

test('what is wrong inside a route is told at its place', () => {
  const spec = '{ parentRefs: [{ kind: Service, name: web }], rules: [{ filters: [{ type: Mirror }] }] }';
  assert.deepEqual(refused(route(spec)), [
    'm.yaml:8:85 routes[0].spec.rules[0].filters[0].type: "Mirror" is none of what can stand here; write RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect, URLRewrite, RequestMirror, CORS, ExtensionRef',
  ]);
  const status = '{ type: RequestRedirect, requestRedirect: { statusCode: 304 } }';
  assert.deepEqual(refused(route(spec.replace('{ type: Mirror }', status))), [
    'm.yaml:8:133 routes[0].spec.rules[0].filters[0].requestRedirect.statusCode: 304 is not allowed here; write 301 or 302 or 303 or 307 or 308',
  ]);
});

test('a kind that does not belong there is told with a guess', () => {
  assert.deepEqual(refused('routes:\n  - kind: HTPRoute'), [
    'm.yaml:2:11 routes[0].kind: "HTPRoute" is not a kind that belongs here; perhaps HTTPRoute was meant',
  ]);
  assert.deepEqual(refused('routes:\n  - kind: Gateway'), [
    'm.yaml:2:11 routes[0].kind: "Gateway" is not a kind that belongs here; write HTTPRoute, GRPCRoute, TLSRoute',
  ]);
  assert.deepEqual(refused('policies: [{ kind: TraficPolicy }, { kind: __proto__ }]'), [
    'm.yaml:1:20 policies[0].kind: "TraficPolicy" is not a kind that belongs here; perhaps TrafficPolicy was meant',
    'm.yaml:1:44 policies[1].kind: "__proto__" is not a kind that belongs here; write TrafficPolicy, AccessPolicy, Aggregate',
  ]);
  assert.deepEqual(refused('gateway: [{ kind: 5 }, {}]'), [
    'm.yaml:1:19 gateway[0].kind: 5 is not a kind; write the kind of the document, like HTTPRoute',
    'm.yaml:1:24 gateway[1].kind: is missing; write the kind of the document, like HTTPRoute',
  ]);
});

test('the target of a policy that does not exist is told with a guess', () => {
  assert.deepEqual(refused(policy('TrafficPolicy', '{ targetRef: { kind: Service, name: ordrs } }')), [
    'm.yaml:8:47 policies[0].spec.targetRef.name: Service shop/ordrs does not exist in this file; perhaps Service shop/orders was meant',
  ]);
  const told = refused(policy('AccessPolicy', '{ targetRef: { kind: Service, name: zzzzzzzzzzzz } }'));
  assert.match(
    told.at(-1) ?? '',
    /Service shop\/zzzzzzzzzzzz does not exist in this file; there are Service shop\/orders,/,
  );
});

const EDGE = `gateway:
  - { apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: { name: edge, namespace: shop }, spec: { listeners: [{ name: h, port: 80, protocol: HTTP }] } }
`;

test('an AccessPolicy about what it would not be enforced for is refused', () => {
  const text = `${policy('AccessPolicy', '{ targetRef: { kind: Gateway, name: edge } }')}${EDGE}`;
  assert.deepEqual(refused(text).slice(-1), [
    'm.yaml:8:47 policies[0].spec.targetRef.name: a AccessPolicy about a Gateway is not enforced by this version; target a Service',
  ]);
});

test('what is understood but not done is told as a warning', () => {
  const rules = '{ parentRefs: [{ kind: Service, name: web }], rules: [{ backendRefs: [{ name: web }] }] }';
  assert.deepEqual(taken(route(rules, 'GRPCRoute')).told, []);
  const access = taken(policy('AccessPolicy', '{ targetRef: { kind: Service, name: web } }'));
  assert.deepEqual(access.told, [
    'warning m.yaml:5:5 policies[0]: AccessPolicy is not enforced by this version: requests that it would judge are refused; use the annotation tulle.dev/allow',
  ]);
  assert.equal(access.mesh.access.length, 1);
  const parts = '{ path: /a, parts: [{ field: f, service: web, path: /b }] }';
  const aggregate = taken(policy('Aggregate', parts));
  assert.deepEqual(aggregate.told, [
    'warning m.yaml:5:5 policies[0]: Aggregate is understood, but not served by this version',
  ]);
  assert.equal(aggregate.mesh.aggregates.length, 1);
});

test('a wrong annotation is told and contained: its default holds, and everything else too', () => {
  const { problems } = parseMesh(
    'services:\n  - name: a\n    port: 1\n    annotations:\n      tulle.dev/timeout: soon\n      tulle.dev/mtls: strict\n',
    'm.yaml',
  );
  assert.deepEqual(problems, [
    {
      severity: 'error',
      file: 'm.yaml',
      line: 5,
      column: 26,
      object: 'Service default/a',
      field: 'services[0].annotations.tulle.dev/timeout',
      value: '"soon"',
      message: 'is not a duration',
      meant: 'write a number with its unit, like 150ms, 2s or 1m (at most 24h), or none',
    },
  ]);
  const { mesh } = taken(
    'services:\n  - { name: a, port: 1, annotations: { tulle.dev/timeout: soon, tulle.dev/mtls: strict } }\n  - { name: b, port: 1 }',
  );
  assert.deepEqual(settingsOf(mesh, 'a'), { ...DEFAULT_SETTINGS, mtls: 'strict' });
  assert.deepEqual(settingsOf(mesh, 'b'), DEFAULT_SETTINGS);
});

test('settings: a policy over the default, a later policy over an earlier one, an annotation over all', () => {
  const one = (name: string, fields: string) =>
    `  - { apiVersion: tulle.dev/v1alpha1, kind: TrafficPolicy, metadata: { name: ${name}, namespace: shop }, spec: { targetRef: { kind: Service, name: orders }, ${fields} } }\n`;
  const policies = `policies:\n${one('first', 'timeout: 1s, retries: 1 on 503, limits: pending 7')}${one('second', 'timeout: 2s, hedge: after p95')}`;
  const annotations = '{ tulle.dev/retries: 3 on 502, tulle.dev/limits: requests 9, tulle.dev/hedge: "off" }';
  const { mesh } = taken(
    `services:\n  - { name: orders, namespace: shop, port: 1, annotations: ${annotations} }\n  - { name: web, namespace: shop, port: 1 }\n${policies}`,
  );
  assert.deepEqual(settingsOf(mesh, 'orders'), {
    ...DEFAULT_SETTINGS,
    timeoutMs: 2000,
    retries: { attempts: 3, on: [502] },
    limits: { connections: 1024, pending: 7, requests: 9 },
  });
  assert.deepEqual(settingsOf(mesh, 'web'), DEFAULT_SETTINGS);
});

test('a wrong field of a policy is told at the policy, and what the policy would change stays', () => {
  const { mesh, told } = taken(
    policy('TrafficPolicy', '{ targetRef: { kind: Service, name: orders }, timeout: soon, mtls: strict }'),
  );
  assert.deepEqual(told, [
    'error m.yaml:8:66 policies[0].spec.timeout: "soon" is not a duration; write a number with its unit, like 150ms, 2s or 1m (at most 24h), or none',
  ]);
  assert.deepEqual(settingsOf(mesh, 'orders'), { ...DEFAULT_SETTINGS, mtls: 'strict' });
});

test('a policy of another namespace does not reach a service of the same name', () => {
  const { mesh } = taken(
    policy('TrafficPolicy', '{ targetRef: { kind: Service, name: orders }, mtls: strict }')
      .replace('name: p, namespace: shop', 'name: p, namespace: evil')
      .replace(SHOP, `${SHOP}  - { name: orders, namespace: evil, port: 1 }\n`),
  );
  const settings = mesh.services.map(({ service, settings }) => `${service.namespace} ${settings.mtls}`);
  assert.deepEqual(settings, ['shop permissive', 'shop permissive', 'evil strict']);
});

test('endpoints must prove the service account, or with strict mTLS the name, of their service', () => {
  const identities = (more: string) => {
    const { mesh } = taken(
      `services:\n  - { name: orders, namespace: shop, port: 1, endpoints: ["a:1", { address: "b:1", identity: shop/own }]${more} }`,
    );
    return mesh.services[0]?.service.endpoints.map(({ identity }) => identity);
  };
  assert.deepEqual(identities(''), [undefined, 'shop/own']);
  assert.deepEqual(identities(', serviceAccount: runner'), ['shop/runner', 'shop/own']);
  assert.deepEqual(identities(', annotations: { tulle.dev/mtls: strict }'), ['shop/orders', 'shop/own']);
  assert.deepEqual(identities(', serviceAccount: runner, annotations: { tulle.dev/mtls: strict }'), [
    'shop/runner',
    'shop/own',
  ]);
  assert.deepEqual(identities(', annotations: { tulle.dev/mtls: permissive }'), [undefined, 'shop/own']);
});

test('aliases work, and a problem within one is told where it is used', () => {
  const { mesh } = taken(
    'services:\n  - { name: a, port: 1, endpoints: &e ["a:1"] }\n  - { name: b, port: 1, endpoints: *e }',
  );
  assert.deepEqual(mesh.services[1]?.service.endpoints, [{ address: 'a:1', weight: 1, ready: true }]);
  assert.deepEqual(
    refused('services:\n  - &s { name: a, port: x }\n  - *s').map((line) => line.split(': ', 1)[0]),
    ['m.yaml:2:25 services[0].port', 'm.yaml:3:5 services[1].port', 'm.yaml:3:5 services[1].name'],
  );
});

test('an alias without an anchor before it is told with its place', () => {
  assert.deepEqual(refused('services:\n  - *later\n  - &later {}\n'), [
    'm.yaml:2:5: this is not YAML: *later has no anchor before it',
  ]);
});

test('an alias bomb, a billion values in nine lines, is refused', () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    lines.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(', ')}]`);
  }
  assert.deepEqual(refused(lines.join('\n')), [
    'm.yaml: cannot be read: Excessive alias count indicates a resource exhaustion attack',
  ]);
});

test('an alias inside of what it stands for is refused', () => {
  assert.equal(refused('services: &s [*s]').length, 1);
});

test('lists within lists until the stack is full are refused', () => {
  assert.match(refused('['.repeat(50_000))[0] ?? '', /^m\.yaml:1:\d+: this is not YAML: /);
  assert.match(refused(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)[0] ?? '', /this is not YAML: /);
  assert.ok(refused(`services: ${'['.repeat(200)}${']'.repeat(200)}`).length > 0);
});

test('a mapping with as many keys as fit does not take quadratic time', () => {
  const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: v`);
  const { mesh } = taken(`services:\n  - { name: a, port: 1, annotations: { ${keys.join(', ')} } }`);
  assert.equal(Object.keys(mesh.services[0]?.service.annotations ?? {}).length, 60_000);
});

test('a file of more than 16 MiB is not looked into, counted in bytes', () => {
  const told = ['m.yaml: has more than 16777216 bytes'];
  assert.deepEqual(refused(`# ${'x'.repeat(16 * 1024 * 1024)}`), told);
  assert.deepEqual(refused(`# ${'€'.repeat(6 * 1024 * 1024)}`), told);
});

test('keys called __proto__ or constructor are refused or without effect', () => {
  assert.match(
    refused('__proto__: { trustDomain: evil }').join(),
    /"__proto__" is not a field that is known here/,
  );
  assert.match(refused('constructor: { prototype: {} }').join(), /"constructor" is not a field/);
  const { mesh } = taken(
    'services:\n  - { name: a, port: 1, annotations: { __proto__: { tulle.dev/mtls: strict }, tulle.dev/__proto__: strict } }',
  );
  assert.deepEqual(settingsOf(mesh, 'a'), DEFAULT_SETTINGS);
  assert.ok(!('tulle.dev/mtls' in {}));
});

test('a tag for a language object is a text, and runs nothing', () => {
  assert.match(refused('services: !!js/function "() => process.exit(3)"').join(), /is not a list/);
  assert.match(
    refused('services: !!python/object/apply:os.system ["id"]').join(),
    /services\[0\]: "id" is not/,
  );
});

test('secrets of a wrong file are never told', () => {
  const texts = [
    'quotas: { store: "reddis://user:hunter2@redis:6379" }',
    'quotas: { store: "redis://user:a@hunter2 x@redis:6379" }',
    'quotas: { store: hunter2 }',
    'quotas: { redis://user:hunter2@redis: 1 }'.replace(
      'redis://user:hunter2@redis',
      'url: "redis://user:hunter2@redis", x',
    ),
    'quotas: { store: 5, password: hunter2 }',
    'services: [{ name: "redis://user:hunter2@redis", port: 1 }]',
    'trustDomain: { password: hunter2 }',
    'routes: [{ kind: "redis://user:hunter2@redis" }]',
    'services: [\nquotas: { store: "redis://user:hunter2@redis:6379" }',
  ];
  for (const text of texts) assert.doesNotMatch(refused(text).join('\n'), /hunter2/, text);
});

test('a key with a line break in it tells one line', () => {
  const { told } = taken(
    'services:\n  - { name: a, port: 1, annotations: { "tulle.dev/x\\nm.yaml: ok": "1" } }',
  );
  assert.equal(told.length, 1);
  assert.doesNotMatch(told.join(), /\n/);
});

test('two routes or two Gateways of one name are told: neither wins in silence', () => {
  const gateway =
    '{ apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: { name: edge }, spec: { listeners: [{ name: http, port: 80, protocol: HTTP }] } }';
  assert.deepEqual(refused(`gateway:\n  - ${gateway}\n  - ${gateway}\n`), [
    'm.yaml:3:82 gateway[1].metadata.name: "edge" stands for a second Gateway default/edge; the first is gateway[0]; give each document of a kind and namespace its own name',
  ]);
});
