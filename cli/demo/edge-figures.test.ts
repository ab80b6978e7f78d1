import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, type EdgeFigures, quantile, readEdges } from './edge-figures.ts';

const labels = (more = '', reporter = 'source') =>
  `reporter="${reporter}",source_workload="web",destination_service_name="orders"${more}`;

/** A sidecar's metrics: 10 requests, 2 of them 503, 1 cut short, 7 by mTLS, 3 retries. */
const EXPOSITION = `# HELP istio_requests_total Requests.
# TYPE istio_requests_total counter
istio_requests_total{${labels(',response_code="200",connection_security_policy="mutual_tls"')}} 7
istio_requests_total{${labels(',response_code="503",connection_security_policy="none"')}} 2
istio_requests_total{${labels(',response_code="0",connection_security_policy="none"')}} 1
istio_requests_total{${labels(',response_code="200"', 'destination')}} 1000
tulle_retries_total{${labels()}} 3
istio_request_duration_milliseconds_bucket{${labels(',le="5"')}} 4
istio_request_duration_milliseconds_bucket{${labels(',le="10"')}} 8
istio_request_duration_milliseconds_bucket{${labels(',le="+Inf"')}} 10
istio_request_duration_milliseconds_sum{${labels()}} 60
process_cpu_seconds_total 5
`;

test('figures are those of the source, failures are 5xx and requests without an answer', () => {
  const edges = readEdges([EXPOSITION]);
  assert.deepEqual([...edges.keys()], ['web orders']);
  assert.deepEqual(edges.get('web orders'), {
    source: 'web',
    destination: 'orders',
    requests: 10,
    failures: 3,
    retries: 3,
    mtls: 7,
    buckets: new Map([
      [5, 4],
      [10, 8],
      [Number.POSITIVE_INFINITY, 10],
    ]),
  });
});

test('the sidecars of a source are summed, sources are not', () => {
  const other = EXPOSITION.replaceAll('"web"', '"gateway"');
  const edges = readEdges([EXPOSITION, EXPOSITION, other]);
  assert.equal(edges.get('web orders')?.requests, 20);
  assert.equal(edges.get('web orders')?.buckets.get(5), 8);
  assert.equal(edges.get('gateway orders')?.requests, 10);
});

test('what is no exposition has no edges', () => {
  assert.equal(readEdges([]).size, 0);
  assert.equal(readEdges(['', '<html>', 'istio_requests_total{', '{"a":1} 2']).size, 0);
});

test('quantiles are interpolated within their bucket', () => {
  const buckets = new Map([
    [10, 50],
    [20, 100],
    [Number.POSITIVE_INFINITY, 100],
  ]);
  assert.equal(quantile(buckets, 0.25), 5);
  assert.equal(quantile(buckets, 0.5), 10);
  assert.equal(quantile(buckets, 0.75), 15);
  assert.equal(quantile(buckets, 1), 20);
});

test('beyond the last bound, the bound is all that is known', () => {
  const buckets = new Map([
    [Number.POSITIVE_INFINITY, 10],
    [10, 1],
  ]);
  assert.equal(quantile(buckets, 0.99), 10);
});

test('without requests there is no latency', () => {
  assert.equal(quantile(new Map(), 0.5), undefined);
  assert.equal(quantile(new Map([[Number.POSITIVE_INFINITY, 0]]), 0.5), undefined);
});

test('what was added between two readings', () => {
  const before = readEdges([EXPOSITION]).get('web orders');
  const now = readEdges([EXPOSITION, EXPOSITION]).get('web orders');
  assert.ok(before && now);
  assert.deepEqual(difference(now, before), before);
  assert.deepEqual(difference(now, undefined), now);
  const none: EdgeFigures = difference(now, now);
  assert.deepEqual([none.requests, none.failures, none.retries, none.mtls], [0, 0, 0, 0]);
  assert.equal(quantile(none.buckets, 0.5), undefined);
  assert.equal(now.requests, 20);
});
