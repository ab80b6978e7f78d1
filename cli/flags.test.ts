import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOption, countOption, durationOption, logLevelOption, splitAddressOption } from './flags.ts';

test('an address, also with port 0 and with IPv6', () => {
  for (const text of ['127.0.0.1:4140', 'localhost:0', '[::1]:65535', 'redis-0.redis:6379']) {
    assert.equal(addressOption('--inbound', text), text);
  }
});

test('what is no address is told with flag, value and what was meant', () => {
  for (const text of [
    '',
    '4140',
    ':4140',
    'a',
    'a:',
    'a:65536',
    'a:-1',
    '::1:80',
    'http://a:80',
    'a:80/x',
    'a:80\n',
    'u@a:80',
  ]) {
    assert.throws(() => addressOption('--inbound', text), {
      message: `--inbound "${text}" is not an address; write HOST:PORT, like 127.0.0.1:4140 (port 0: the kernel chooses)`,
    });
  }
});

test('an address is split into host, without brackets, and port', () => {
  assert.deepEqual(splitAddressOption('127.0.0.1:4140'), { host: '127.0.0.1', port: 4140 });
  assert.deepEqual(splitAddressOption('[::1]:0'), { host: '::1', port: 0 });
});

test('a duration in ms', () => {
  assert.equal(durationOption('--drain', '1.5s'), 1500);
  for (const text of ['', '5', '0s', '-1s', '25h']) {
    assert.throws(() => durationOption('--drain', text), {
      message: `--drain "${text}" is not a duration; write a number with its unit, like 150ms, 2s or 1m (at most 24h)`,
    });
  }
});

test('a count within its bounds', () => {
  assert.equal(countOption('--max-headers', '1', 1, 100), 1);
  assert.equal(countOption('--max-headers', '100', 1, 100), 100);
  for (const text of ['0', '101', '-5', '5.5', '1e1', '0x10', ' 5', '', '9'.repeat(400), 'Infinity', 'NaN']) {
    assert.throws(() => countOption('--max-headers', text, 1, 100), {
      message: `--max-headers "${text}" is not a count; write a whole number from 1 to 100`,
    });
  }
});

test('a level of the log', () => {
  for (const level of ['debug', 'info', 'warn', 'error']) assert.equal(logLevelOption(level), level);
  for (const text of ['', 'INFO', 'trace', 'undefined', 'constructor']) {
    assert.throws(() => logLevelOption(text), {
      message: `--log-level "${text}" is not a level; write debug, info, warn, error`,
    });
  }
});
