import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayListener, ListenerCertificate } from '../../protocol/gateway.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import { type Route, routeKey, TLS_ROUTE } from '../../protocol/route.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { routeTo } from '../../test/fixture/told-services.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import { compileGateway, type GatewayTables, NO_TABLES } from './gateway-tables.ts';

const HTTP: GatewayListener = { name: 'http', port: 80, protocol: 'HTTP' };

function compiled(
  listeners: readonly GatewayListener[],
  routes: readonly Route[] = [],
  before: GatewayTables = NO_TABLES,
): GatewayTables {
  const resource: GatewayResource = { kind: 'gateway', key: 't/edge', version: 'v', listeners, routes };
  return compileGateway(resource, before);
}

async function certificate(name: string): Promise<ListenerCertificate> {
  const { chainPem, keyPem } = await (await testAuthority()).issue('t/edge', {
    names: [{ type: 'dns', value: name }],
  });
  return { certificate: chainPem, key: keyPem };
}

/** The routes that requests of each listener can come to. */
function reached({ ports }: GatewayTables, paths: readonly string[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { http, tls } of ports.values()) {
    for (const { name, routes } of [...http.values(), ...tls.values()])
      found[name] = paths.flatMap((path) => routes.match(exchangeFor(path))?.route ?? []);
  }
  return found;
}

test('a listener serves the routes that are attached to it; without a list, those that name no other', () => {
  const parent = { kind: 'Gateway' as const, key: 't/edge' };
  const routes = [
    routeTo('t/any', '/any', { 't/a': 1 }),
    { ...routeTo('t/gateway', '/gateway', { 't/a': 1 }), parents: [parent] },
    { ...routeTo('t/section', '/section', { 't/a': 1 }), parents: [{ ...parent, sectionName: 'two' }] },
    { ...routeTo('t/port', '/port', { 't/a': 1 }), parents: [{ ...parent, port: 80 }] },
  ];
  const tables = compiled(
    [
      HTTP,
      { name: 'two', port: 8080, protocol: 'HTTP' },
      {
        name: 'three',
        port: 8080,
        protocol: 'HTTP',
        hostname: 'x.test',
        routes: [routeKey(routes[0] as Route)],
      },
      { name: 'none', port: 8081, protocol: 'HTTP', routes: [] },
    ],
    routes,
  );
  assert.deepEqual(reached(tables, ['/any', '/gateway', '/section', '/port']), {
    http: ['t/any', 't/gateway', 't/port'],
    two: ['t/any', 't/gateway', 't/section'],
    three: ['t/any'],
    none: [],
  });
});

test('TLSRoutes are for TLS listeners, and all others for HTTP', async () => {
  const certificates = [await certificate('shop.test')];
  const routes = [
    routeTo('t/http', '/', { 't/a': 1 }),
    { ...routeTo('t/tls', '/', { 't/a': 1 }), kind: TLS_ROUTE },
  ];
  const end = { mode: 'Terminate' as const, certificates };
  const tables = compiled(
    [
      HTTP,
      { name: 'https', port: 443, protocol: 'HTTPS', tls: end },
      { name: 'pass', port: 8443, protocol: 'TLS' },
      { name: 'end', port: 8444, protocol: 'TLS', tls: end },
    ],
    routes,
  );
  assert.deepEqual(reached(tables, ['/']), {
    http: ['t/http'],
    https: ['t/http'],
    pass: ['t/tls'],
    end: ['t/tls'],
  });
  assert.deepEqual(tables.problems, []);
});

test('what is not served is said, and its port is not opened', () => {
  const tables = compiled([
    HTTP,
    { name: 'https', port: 443, protocol: 'HTTPS' },
    { name: 'empty', port: 444, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates: [] } },
    { name: 'passed', port: 445, protocol: 'HTTPS', tls: { mode: 'Passthrough', certificates: [] } },
    { name: 'tcp', port: 5432, protocol: 'TCP' },
  ]);
  assert.deepEqual([...tables.ports.keys()], [80]);
  assert.deepEqual(tables.problems, [
    'listener https (HTTPS, port 443) is not served: it has no certificate',
    'listener empty (HTTPS, port 444) is not served: it has no certificate',
    'listener passed (HTTPS, port 445) is not served: HTTPS cannot be passed through',
    'listener tcp (TCP, port 5432) is not served: TCP listeners are not served by this version',
  ]);
});

test('a certificate that is given again is not read again', async () => {
  const [one, two] = [await certificate('one.test'), await certificate('two.test')];
  const listener = (...certificates: ListenerCertificate[]): GatewayListener => ({
    name: 'https',
    port: 443,
    protocol: 'HTTPS',
    tls: { mode: 'Terminate', certificates },
  });
  const contexts = ({ ports }: GatewayTables) =>
    [...(ports.get(443)?.tls.values() ?? [])].flatMap(({ certificates }) =>
      certificates.map(({ context }) => context),
    );
  const before = compiled([listener(one)]);
  const after = compiled([listener(two, { ...one })], [], before);
  assert.equal(contexts(after).length, 2);
  assert.equal(contexts(after)[1], contexts(before)[0]);
});

test('words about a certificate that cannot be used hold nothing of its key', async () => {
  const [one, two] = [await certificate('one.test'), await certificate('two.test')];
  const wrong: ListenerCertificate[] = [
    { certificate: one.certificate, key: two.key },
    { certificate: one.certificate, key: two.key.slice(0, 80) },
    { certificate: two.key, key: one.key },
    { certificate: '', key: '' },
  ];
  for (const source of wrong) {
    const { problems, ports } = compiled([
      { name: 'https', port: 443, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates: [source] } },
    ]);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /^certificate 1 of 1 of listener https cannot be used: /);
    for (const key of [one.key, two.key])
      for (const line of key.split('\n').filter((text) => text.length > 10 && !text.startsWith('-')))
        assert.ok(!problems.join().includes(line.slice(0, 8)), 'a part of a key');
    assert.ok(ports.has(443), 'its clients are refused by a port that is open');
  }
});
