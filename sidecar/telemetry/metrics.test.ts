import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Family, readPrometheusText, type Sample } from '../../test/fixture/prometheus-text.ts';
import { Detections } from './detections.ts';
import { EdgeRegistry } from './edge-registry.ts';
import { createMetrics, type Gauges } from './metrics.ts';

const GAUGES: Gauges = {
  connections: 3,
  protections: {},
  detections: {},
  detectTimeouts: {},
  mirrors: {},
  quotas: [],
  ready: true,
  controlPlaneConnected: false,
  certificateSecondsLeft: 3600.5,
  rootSecondsLeft: 7200,
  checkedEndpoints: [],
  circuits: [],
  ejections: {},
  panics: [],
  version: '1.2.3',
  trustDomain: 'mesh.local',
};

async function scraped(edges: EdgeRegistry, gauges = GAUGES): Promise<Map<string, Family>> {
  return readPrometheusText((await createMetrics(edges, () => gauges)()).text);
}

function find(family: Family | undefined, labels: Record<string, string>): Sample | undefined {
  return family?.samples.find((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
}

for (const [fault, text] of [
  ['a family in two pieces', '# HELP a b\n# TYPE a gauge\na 1\n# HELP a b\n# TYPE a gauge\na{x="1"} 2\n'],
  ['a sample without TYPE', 'a 1\n'],
  ['a series twice', '# HELP a b\n# TYPE a gauge\na{x="1"} 1\na{x="1"} 2\n'],
  ['a quote in a label', '# HELP a b\n# TYPE a gauge\na{x="1"2"} 1\n'],
  ['an unknown escape', '# HELP a b\n# TYPE a gauge\na{x="\\t"} 1\n'],
  [
    'a bucket that falls',
    '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
  ],
  [
    '+Inf that is not the count',
    '# HELP h b\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n',
  ],
  ['no +Inf', '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'],
  ['a last line without end', '# HELP a b\n# TYPE a gauge\na 1'],
] as const) {
  test(`the reader of these tests refuses ${fault}`, () => assert.throws(() => readPrometheusText(text)));
}

test('the exposition is in the text format, with or without traffic, and says so', async () => {
  const edges = new EdgeRegistry();
  const metrics = createMetrics(edges, () => GAUGES);
  const first = await metrics();
  assert.match(first.contentType, /^text\/plain; version=0\.0\.4/);
  readPrometheusText(first.text);
  const stats = edges.get('source', 'shop/web', 'shop/orders', true);
  for (let i = 0; i < 100; i++)
    stats.observe(200 + (i % 5), i * 150, i * 1000, i ** 4, i % 7 ? '' : 'no-route');
  const families = readPrometheusText((await metrics()).text);
  for (const { name, help } of families.values()) assert.notEqual(help, '', name);
  assert.ok(families.has('process_resident_memory_bytes'));
});

test('requests are counted by edge and status, with what Tulle answered itself by reason', async () => {
  const edges = new EdgeRegistry();
  const out = edges.get('source', 'shop/web', 'shop/orders', true);
  out.observe(200, 3, 0, 10, '');
  out.observe(200, 700, 0, 10, '');
  out.observe(503, 1, 0, 0, 'pool-full');
  out.retries = 2;
  out.delays = 3;
  edges.get('destination', 'unknown', 'shop/web', false).observe(404, 1, 5, 5, '');
  const families = await scraped(edges);
  const requests = families.get('istio_requests_total');
  assert.equal(requests?.type, 'counter');
  assert.equal(requests?.samples.length, 3);
  assert.equal(find(requests, { response_code: '200' })?.value, 2);
  assert.deepEqual(find(requests, { response_code: '503' }), {
    name: 'istio_requests_total',
    value: 1,
    labels: {
      reporter: 'source',
      source_workload: 'web',
      source_workload_namespace: 'shop',
      source_principal: 'spiffe://mesh.local/ns/shop/sa/web',
      source_canonical_service: 'web',
      destination_workload: 'orders',
      destination_workload_namespace: 'shop',
      destination_service: 'orders.shop.svc.cluster.local',
      destination_service_name: 'orders',
      destination_service_namespace: 'shop',
      destination_canonical_service: 'orders',
      request_protocol: 'http',
      connection_security_policy: 'mutual_tls',
      response_code: '503',
      response_flags: '-',
      grpc_response_status: '',
    },
  });
  const local = families.get('tulle_local_responses_total');
  assert.deepEqual(
    local?.samples.map(({ labels, value }) => [labels.reason, value]),
    [['pool-full', 1]],
  );
  assert.deepEqual(
    families.get('tulle_fault_delays_total')?.samples.map(({ value }) => value),
    [3],
  );
  assert.deepEqual(
    families.get('tulle_retries_total')?.samples.map(({ value }) => value),
    [2],
  );
});

test('gRPC calls are counted by their gRPC status', async () => {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'a/b', 'c/d', false, 'grpc');
  for (const status of [0, 14, 14]) stats.observe(200, 1, 0, 0, '', status);
  const requests = (await scraped(edges)).get('istio_requests_total');
  assert.deepEqual(
    requests?.samples.map(({ labels, value }) => [
      labels.request_protocol,
      labels.grpc_response_status,
      value,
    ]),
    [
      ['grpc', '0', 1],
      ['grpc', '14', 2],
    ],
  );
});

test('the same edge and status with and without reasons is one series', async () => {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'a/b', 'c/d', false);
  stats.observe(503, 1, 0, 0, '');
  stats.observe(503, 1, 0, 0, 'pool-full');
  stats.observe(503, 1, 0, 0, 'no-endpoint');
  const families = await scraped(edges);
  assert.deepEqual(
    families.get('istio_requests_total')?.samples.map(({ value }) => value),
    [3],
  );
});

test('histograms hold durations and sizes of every edge', async () => {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'a/b', 'c/d', false);
  for (const [ms, sent, got] of [
    [1, 0, 256],
    [30, 300, 257],
    [99_999, 20_000_000, 0],
  ] as const)
    stats.observe(200, ms, sent, got, '');
  const families = await scraped(edges);
  const durations = families.get('istio_request_duration_milliseconds');
  assert.equal(find(durations, { le: '1' })?.value, 1);
  assert.equal(find(durations, { le: '50' })?.value, 2);
  assert.equal(find(durations, { le: '10000' })?.value, 2);
  assert.equal(find(durations, { le: '+Inf' })?.value, 3);
  assert.equal(durations?.samples.find(({ name }) => name.endsWith('_sum'))?.value, 100_030);
  assert.equal(find(families.get('istio_request_bytes'), { le: '0' })?.value, 1);
  assert.equal(find(families.get('istio_response_bytes'), { le: '256' })?.value, 2);
});

test('what was counted is not counted again at the next scrape', async () => {
  const edges = new EdgeRegistry();
  edges.get('source', 'a/b', 'c/d', false).observe(200, 1, 0, 0, '');
  const metrics = createMetrics(edges, () => GAUGES);
  await metrics();
  const families = readPrometheusText((await metrics()).text);
  assert.equal(families.get('istio_requests_total')?.samples[0]?.value, 1);
  assert.equal(find(families.get('istio_request_duration_milliseconds'), { le: '+Inf' })?.value, 1);
});

test('gauges are read when scraped; a certificate that is not there has no expiry', async () => {
  const now: { gauges: Gauges } = { gauges: GAUGES };
  const metrics = createMetrics(new EdgeRegistry(), () => now.gauges);
  const values = async () => {
    const families = readPrometheusText((await metrics()).text);
    return [
      'tulle_connections_active',
      'tulle_ready',
      'tulle_control_plane_connected',
      'tulle_certificate_expiry_seconds',
      'tulle_root_expiry_seconds',
    ].map((name) => families.get(name)?.samples.map(({ value }) => value));
  };
  assert.deepEqual(await values(), [[3], [1], [0], [3600.5], [7200]]);
  now.gauges = {
    ...GAUGES,
    connections: 0,
    ready: false,
    certificateSecondsLeft: undefined,
    rootSecondsLeft: undefined,
  };
  assert.deepEqual(await values(), [[0], [0], [0], [], []]);
});

test('the health of endpoints that are probed is told, and no more when they are gone', async () => {
  const now = { gauges: GAUGES };
  const metrics = createMetrics(new EdgeRegistry(), () => now.gauges);
  const healthy = async () =>
    readPrometheusText((await metrics()).text)
      .get('tulle_endpoint_healthy')
      ?.samples.map(({ labels, value }) => `${labels.service} ${labels.endpoint} ${value}`);
  assert.deepEqual(await healthy(), []);
  const checkedEndpoints = [
    { service: 'shop/orders', endpoint: '10.0.0.1:80', healthy: true },
    { service: 'shop/orders', endpoint: '[::1]:80', healthy: false },
  ];
  now.gauges = { ...GAUGES, checkedEndpoints };
  assert.deepEqual(await healthy(), ['shop/orders 10.0.0.1:80 1', 'shop/orders [::1]:80 0']);
  now.gauges = GAUGES;
  assert.deepEqual(await healthy(), []);
});

test('who is ejected is told, and how often there were ejections', async () => {
  const gauges = {
    ...GAUGES,
    circuits: [
      { service: 'shop/orders', endpoint: '10.0.0.1:80', ejected: true },
      { service: 'shop/orders', endpoint: '10.0.0.2:80', ejected: false },
    ],
    ejections: { 'shop/orders failures': 3, 'shop/orders probe': 1 },
  };
  const families = readPrometheusText((await createMetrics(new EdgeRegistry(), () => gauges)()).text);
  const samples = (name: string) =>
    families.get(name)?.samples.map(({ labels, value }) => [...Object.values(labels), value].join(' '));
  assert.deepEqual(samples('tulle_endpoint_ejected'), [
    'shop/orders 10.0.0.1:80 1',
    'shop/orders 10.0.0.2:80 0',
  ]);
  assert.deepEqual(samples('tulle_ejections_total'), ['shop/orders failures 3', 'shop/orders probe 1']);
});

test('services in panic are told, and no more when they are not', async () => {
  const now = { gauges: { ...GAUGES, panics: ['shop/orders'] } };
  const metrics = createMetrics(new EdgeRegistry(), () => now.gauges);
  const panics = async () =>
    readPrometheusText((await metrics()).text)
      .get('tulle_balance_panic')
      ?.samples.map(({ labels, value }) => `${labels.service} ${value}`);
  assert.deepEqual(await panics(), ['shop/orders 1']);
  now.gauges = { ...GAUGES, panics: [] };
  assert.deepEqual(await panics(), []);
});

test('the version is a label', async () => {
  const families = await scraped(new EdgeRegistry());
  assert.deepEqual(families.get('tulle_build_info')?.samples, [
    { name: 'tulle_build_info', labels: { version: '1.2.3' }, value: 1 },
  ]);
});

test('an attacker whose name has quotes, backslashes or line ends writes no lines of the exposition', async () => {
  const edges = new EdgeRegistry();
  const evil = 'a"} 1\n# TYPE evil counter\nevil{x="\\';
  edges.get('destination', `shop/${evil}`, `shop/${evil}`, true).observe(200, 1, 0, 0, '');
  const families = await scraped(edges);
  assert.ok(!families.has('evil'));
  const [sample] = families.get('istio_requests_total')?.samples ?? [];
  assert.equal(sample?.labels.source_workload, evil);
  assert.equal(sample?.labels.destination_service, `${evil}.shop.svc.cluster.local`);
});

test('retries that were not made are told by why, hedges by what came of them', async () => {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'shop/web', 'shop/orders', true);
  stats.withheld.set('budget', 3);
  stats.hedges.set('won', 2);
  const families = await scraped(edges);
  const told = (name: string) =>
    families.get(name)?.samples.map(({ labels, value }) => [labels, value]) ?? [];
  const [[withheld, times] = [], ...more] = told('tulle_retries_withheld_total');
  assert.deepEqual([Object(withheld).why, times, more], ['budget', 3, []]);
  const [[hedged, won] = []] = told('tulle_hedges_total');
  assert.deepEqual([Object(hedged).result, won], ['won', 2]);
});

test('opaque connections have the metrics that Istio has of TCP, and none of requests', async () => {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'shop/web', 'shop/db', true, 'tcp');
  Object.assign(stats, { tcpOpened: 3, tcpClosed: 2, tcpReceivedBytes: 10, tcpSentBytes: 20 });
  stats.tcpFailures.set('no-endpoint', 4);
  const families = await scraped(edges);
  const value = (name: string) => {
    const [sample, ...more] = families.get(name)?.samples ?? [];
    assert.deepEqual(more, [], name);
    return [sample?.value, sample?.labels.request_protocol, sample?.labels.destination_service_name];
  };
  assert.deepEqual(value('istio_tcp_connections_opened_total'), [3, 'tcp', 'db']);
  assert.deepEqual(value('istio_tcp_connections_closed_total'), [2, 'tcp', 'db']);
  assert.deepEqual(value('istio_tcp_received_bytes_total'), [10, 'tcp', 'db']);
  assert.deepEqual(value('istio_tcp_sent_bytes_total'), [20, 'tcp', 'db']);
  assert.deepEqual(value('tulle_tcp_failures_total'), [4, 'tcp', 'db']);
  assert.equal(families.get('tulle_tcp_failures_total')?.samples[0]?.labels.reason, 'no-endpoint');
  assert.deepEqual(families.get('istio_requests_total')?.samples, []);
  assert.deepEqual(families.get('istio_request_duration_milliseconds')?.samples, []);
});

test('what first bytes were found to be is told by listener', async () => {
  const detections = new Detections();
  detections.count('inbound', 'tls');
  detections.count('outbound', 'opaque');
  detections.count('outbound', 'opaque');
  detections.countTimeout('outbound');
  const metrics = createMetrics(new EdgeRegistry(), () => ({
    ...GAUGES,
    detections: detections.protocols(),
    detectTimeouts: detections.timeouts(),
  }));
  await metrics();
  const families = readPrometheusText((await metrics()).text);
  const detected = families.get('tulle_detected_protocols_total');
  assert.equal(find(detected, { listener: 'inbound', protocol: 'tls' })?.value, 1);
  assert.equal(find(detected, { listener: 'outbound', protocol: 'opaque' })?.value, 2);
  assert.deepEqual(
    families.get('tulle_detect_timeouts_total')?.samples.map(({ value }) => value),
    [1],
  );
});
