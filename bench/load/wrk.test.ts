import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWrkOutput } from './wrk.ts';

const output = `Running 5s test @ http://127.0.0.1:38217/bytes/100
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.52ms  512.00us  12.40ms   91.20%
    Req/Sec    41.80k     1.10k   43.90k    80.00%
  Latency Distribution
     50%    1.48ms
     75%    1.60ms
     90%    1.81ms
     99%    2.90ms
  208000 requests in 5.00s, 45.60MB read
Requests/sec:  41590.12
Transfer/sec:      9.12MB
REPORT {"requests":208000,"micros":5001183,"p50":1480,"p99":2900,"p999":8250,"connect":0,"read":1,"write":0,"timeout":2,"status":3}
`;

test('wrk: requests, times and all kinds of errors come from the line of report.lua', () => {
  assert.deepEqual(parseWrkOutput(output), {
    requests: 208000,
    seconds: 5.001183,
    p50Ms: 1.48,
    p99Ms: 2.9,
    p999Ms: 8.25,
    errors: 6,
  });
});

test('wrk: output without a report, or with half of one, is an error and not a zero', () => {
  assert.throws(
    () => parseWrkOutput('unable to connect to 127.0.0.1:1 Connection refused\n'),
    /Connection refused/,
  );
  assert.throws(() => parseWrkOutput('REPORT {"requests":1}\n'), /lacks micros/);
});
