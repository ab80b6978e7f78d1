import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseH2loadLine, parseH2loadOutput } from './h2load.ts';

const output = `starting benchmark...
spawning thread #0: 4 total client(s). Timing-based test with 0s of warm-up time and 3s of main duration for measurements.
Warm-up started for thread #0.
progress: 10% of clients started
Application protocol: h2c
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 3.01s, 37421.67 req/s, 5.43MB/s
requests: 112265 total, 112329 started, 112265 done, 112261 succeeded, 4 failed, 1 errored, 0 timeout
status codes: 112261 2xx, 0 3xx, 0 4xx, 3 5xx
traffic: 16.28MB (17076188) total, 3.64MB (3817162) headers (space savings 81.11%), 10.71MB (11226500) data
                     min         max         mean         sd        +/- sd
time for request:      261us     19.52ms      1.70ms       793us    84.47%
`;

test('h2load: successes, failures and the length come from its text', () => {
  assert.deepEqual(parseH2loadOutput(output), { requests: 112_261, seconds: 3.01, errors: 4 });
});

test('h2load: a length is read in each of its units', () => {
  const within = (length: string) => parseH2loadOutput(output.replace('3.01s', length)).seconds;
  assert.deepEqual(['250.00ms', '2500us', '1.50m'].map(within), [0.25, 0.0025, 90]);
});

test('h2load: a text without the counts is an error and not a zero', () => {
  assert.throws(() => parseH2loadOutput('starting benchmark...\n'), /h2load gave no report/);
});

test('h2load: a line of its log has the time in us, and only answers of 2xx count', () => {
  assert.equal(parseH2loadLine('1700000000000000\t200\t1234'), 1234);
  assert.equal(parseH2loadLine('1700000000000000\t503\t1234'), undefined);
  assert.equal(parseH2loadLine('1700000000000000\t-1\t1234'), undefined);
});
