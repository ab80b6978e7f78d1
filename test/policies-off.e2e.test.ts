import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothRoute, edgeMesh, trafficPolicy, twoWays, type Way } from './fixture/two-ways.ts';
import { until } from './fixture/wait.ts';
import { startHttp1 } from './http2/server.ts';

type Answer = Awaited<ReturnType<Way['ask']>>;

interface Field {
  readonly field: string;
  readonly value: string;
  /** Whether it acted on the last of two requests that one listener got. */
  acted(last: Answer): boolean;
  /** It does so at a gateway only, where the service has no sidecar. */
  readonly atGateway?: true;
}

const FIELDS: readonly Field[] = [
  { field: 'fault', value: 'abort 503 100%', acted: ({ status }) => status === 503 },
  { field: 'direct-response', value: '418 no tea', acted: ({ status }) => status === 418 },
  { field: 'rewrite', value: 'path /(.*) -> /other/$1', acted: ({ body }) => body === '/other/asked' },
  {
    field: 'sticky',
    value: 'cookie:lane set',
    acted: ({ headers }) =>
      /^lane=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/.test(String(headers['set-cookie'])),
  },
  { field: 'rate-limit', value: '1/h', acted: ({ status }) => status === 429, atGateway: true },
];

test('what a policy about a Service says holds, and its own annotation takes it away by off', async (context) => {
  const probed = new Set<string>();
  const { address } = await startHttp1(context, ({ url = '', headers }, response) => {
    if (url === '/healthz') probed.add(String(headers.host));
    response.end(url);
  });
  const named = FIELDS.map(({ field }) => field);
  const service = (annotations: object) => ({ protocol: 'http', endpoints: [address], annotations });
  const policy = (name: string, fields: object) => trafficPolicy(name, { kind: 'Service', name }, fields);
  const checks = { 'health-check': 'http /healthz every 1s', hedge: 'after p95' };
  const off = { 'tulle.dev/health-check': 'off', 'tulle.dev/hedge': 'off' };
  const mesh = edgeMesh(
    Object.fromEntries([
      ...named.flatMap((field) => [
        [`on-${field}`, service({})],
        [`off-${field}`, service({ [`tulle.dev/${field}`]: 'off' })],
      ]),
      ['on-checks', service({})],
      ['off-checks', service(off)],
    ]),
    {
      routes: named.flatMap((field) =>
        [`on-${field}`, `off-${field}`].map((name) => {
          // To be sticky there must be something to choose from.
          const second = field === 'sticky' ? [{ name: 'on-checks', weight: 1 }] : [];
          return bothRoute('HTTPRoute', name, name, [{ backendRefs: [{ name, weight: 1 }, ...second] }]);
        }),
      ),
      policies: [
        ...FIELDS.flatMap(({ field, value }) =>
          [`on-${field}`, `off-${field}`].map((name) => policy(name, { [field]: value })),
        ),
        ...['on-checks', 'off-checks'].map((name) => policy(name, checks)),
      ],
    },
  );
  const { ways, admin } = await twoWays(context, mesh);
  const lastOfTwo = async (way: Way, name: string): Promise<Answer> => {
    const headers = { [way.name.startsWith('HTTP/2') ? ':authority' : 'host']: `${name}.t` };
    await way.ask('/asked', headers);
    return way.ask('/asked', headers);
  };
  for (const way of ways)
    for (const { field, acted, atGateway } of FIELDS) {
      const acts = atGateway !== true || way.name.includes('gateway');
      assert.equal(acted(await lastOfTwo(way, `on-${field}`)), acts, `${way.name}: ${field}`);
      const free = await lastOfTwo(way, `off-${field}`);
      assert.ok(free.status === 200 && !acted(free), `${way.name}: ${field} is off`);
    }
  const [outbound] = ways;
  assert.ok(outbound);
  await lastOfTwo(outbound, 'on-checks');
  await lastOfTwo(outbound, 'off-checks');
  await until('probes', () => probed.size > 0);
  const config = await (await fetch(`http://${admin}/config`)).json();
  const settings = (name: string) => JSON.stringify(find(config, name));
  for (const word of ['"healthCheck"', '"hedge"']) {
    assert.ok(settings('t/on-checks').includes(word), word);
    assert.ok(!settings('t/off-checks').includes(word), word);
  }
});

function find(config: unknown, key: string): unknown {
  const { services } = config as { services: { key: string }[] };
  return services.find((service) => service.key.startsWith(key)) ?? assert.fail(`no ${key}`);
}
