import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../default-settings.ts';
import { TRAFFIC_FIELDS, type TrafficSettings } from '../traffic-policy.ts';
import { parseAnnotations, parseFields } from './parse.ts';

const UNENFORCED = ['cache', 'coalesce', 'compress'];

/** Annotations of our own, without their prefix in the test. */
function parse(fields: Record<string, string>, base: TrafficSettings = DEFAULT_SETTINGS) {
  const annotations = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`tulle.dev/${name}`, value]),
  );
  return parseAnnotations(annotations, base);
}

const errors = ({ problems }: ReturnType<typeof parse>) =>
  problems.filter(({ severity }) => severity === 'error');

test('every annotation of the design, with its example', () => {
  const read = parse({
    timeout: '2s',
    'try-timeout': '500ms',
    'idle-timeout': '30s',
    'connect-timeout': '200ms',
    retries: '2 on connect,reset,503',
    'retry-budget': '30% + 5/s',
    hedge: 'after p95',
    balance: 'ring-hash header:x-user',
    'circuit-breaker': 'failures 7, eject 1s..10s, max 30%',
    'health-check': 'grpc my.Service every 10s',
    limits: 'connections 1, pending 2, requests 3',
    'rate-limit': '100/s burst 200 by client',
    cache: '60s stale 300s',
    coalesce: 'on',
    compress: 'gzip,br,zstd',
    mtls: 'strict',
    allow: 'web, payments/checkout',
    'opaque-ports': '3306,6379',
  });
  assert.deepEqual(errors(read), []);
  assert.deepEqual(read.settings, {
    timeoutMs: 2000,
    tryTimeoutMs: 500,
    idleTimeoutMs: 30_000,
    connectTimeoutMs: 200,
    retries: { attempts: 2, on: ['connect', 'reset', 503] },
    retryBudget: { ratio: 0.3, perSecond: 5 },
    hedge: { quantile: 0.95 },
    balance: { strategy: 'ring-hash', hashOn: 'header:x-user' },
    circuitBreaker: { failures: 7, ejectMinMs: 1000, ejectMaxMs: 10_000, maxEjectedPercent: 30 },
    healthCheck: { kind: 'grpc', target: 'my.Service', everyMs: 10_000, timeoutMs: 1_000 },
    limits: { connections: 1, pending: 2, requests: 3 },
    rateLimits: [
      {
        algorithm: 'token-bucket',
        tokens: 100,
        perMs: 1000,
        burst: 200,
        by: ['client'],
        mode: 'lease',
        onOutage: 'share',
        dryRun: false,
      },
    ],
    cache: { mode: 'fixed', ttlMs: 60_000, staleMs: 300_000 },
    coalesce: true,
    compress: ['gzip', 'br', 'zstd'],
    mtls: 'strict',
    allow: ['web', 'payments/checkout'],
    opaquePorts: [3306, 6379],
  });
});

test('a wrong value leaves its own field as it was, and the rest holds', () => {
  for (const field of TRAFFIC_FIELDS) {
    const other = field === 'mtls' ? { timeout: '7s' } : { mtls: 'strict' };
    const { settings, problems } = parse({ [field]: '?', ...other });
    const changed = field === 'mtls' ? { timeoutMs: 7000 } : { mtls: 'strict' };
    assert.deepEqual(settings, { ...DEFAULT_SETTINGS, ...changed }, field);
    assert.equal(problems.length, 1, field);
    const [problem] = problems;
    assert.equal(problem?.severity, 'error');
    assert.equal(problem?.field, `annotations.tulle.dev/${field}`);
    assert.equal(problem?.value, '"?"');
    assert.match(problem?.message ?? '', /^(is|has) /);
    assert.match(problem?.meant ?? '', /^write /);
  }
});

test('a misspelled annotation is told with the one that was meant', () => {
  const { settings, problems } = parse({ timeuot: '2s' });
  assert.deepEqual(settings, DEFAULT_SETTINGS);
  assert.deepEqual(problems, [
    {
      severity: 'error',
      field: 'annotations.tulle.dev/timeuot',
      value: '"2s"',
      message: 'stands at an annotation that does not exist: tulle.dev/timeuot',
      meant: 'perhaps tulle.dev/timeout was meant',
    },
  ]);
  assert.equal(parse({ xyzzy: '1' }).problems[0]?.meant, `known are ${TRAFFIC_FIELDS.join(', ')}`);
});

test("other people's annotations and those of the pod are not looked at", () => {
  const annotations = {
    'prometheus.io/port': '?',
    timeout: '?',
    'x.tulle.dev/timeout': '?',
    'tulle.dev/inject': 'enabled',
    'tulle.dev/proxy-image': '?',
  };
  assert.deepEqual(parseAnnotations(annotations, DEFAULT_SETTINGS), {
    settings: DEFAULT_SETTINGS,
    problems: [],
  });
});

test('annotations called __proto__, constructor or toString are unknown names, and change no object', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const { settings, problems } = parse({ [name]: 'strict' });
    assert.deepEqual(settings, DEFAULT_SETTINGS);
    assert.equal(problems[0]?.message, `stands at an annotation that does not exist: tulle.dev/${name}`);
  }
  const own = JSON.parse('{"__proto__": {"tulle.dev/mtls": "strict"}}');
  assert.deepEqual(parseAnnotations(own, DEFAULT_SETTINGS), { settings: DEFAULT_SETTINGS, problems: [] });
  assert.equal(Object.hasOwn(Object.prototype, 'tulle.dev/mtls'), false);
});

test('off and none take back what a policy set', () => {
  const base = parse({
    timeout: '2s',
    'try-timeout': '1s',
    'idle-timeout': '1m',
    'connect-timeout': '1s',
    hedge: 'after p95',
    cache: '60s',
    'health-check': 'tcp every 5s',
    mtls: 'strict',
  });
  const { settings } = parse(
    {
      timeout: 'none',
      'try-timeout': 'none',
      'idle-timeout': 'none',
      'connect-timeout': 'none',
      hedge: 'off',
      cache: 'off',
      'health-check': 'off',
    },
    base.settings,
  );
  assert.deepEqual(settings, { ...DEFAULT_SETTINGS, mtls: 'strict' });
});

test('fields that are not given stay as a policy set them, parts of a field too', () => {
  const { settings: base } = parse({ limits: 'pending 7', mtls: 'strict' });
  assert.deepEqual(parse({ limits: 'requests 9' }, base).settings, {
    ...DEFAULT_SETTINGS,
    limits: { connections: 1024, pending: 7, requests: 9 },
    mtls: 'strict',
  });
});

test('what is read but not enforced yet is told, so that nobody believes to be protected', () => {
  const right: Record<string, string> = {
    hedge: 'after p95',
    'circuit-breaker': 'failures 7',
    'health-check': 'tcp every 5s',
    'rate-limit': '1/s',
    cache: '60s',
    coalesce: 'on',
    compress: 'gzip',
    'opaque-ports': '80',
    fault: 'abort 503 1%',
    'direct-response': '503',
    rewrite: 'path /a -> /b',
    sticky: 'ip',
    timeout: '1s',
    'try-timeout': '1s',
    'idle-timeout': '1m',
    'connect-timeout': '1s',
    retries: '1 on 503',
    'retry-budget': '1%',
    limits: 'pending 1',
    mtls: 'strict',
    allow: 'web',
    balance: 'random',
  };
  for (const field of TRAFFIC_FIELDS) {
    const { problems } = parse({ [field]: right[field] ?? assert.fail(field) });
    assert.deepEqual(
      problems.map(({ severity, message }) => `${severity} ${message}`),
      UNENFORCED.includes(field) ? ['warning is understood, but not enforced by this version'] : [],
      field,
    );
  }
});

test('a limit by what nobody verifies is taken, and said to be so', () => {
  const { settings, problems } = parse({ 'rate-limit': '5/s by claim:sub; 9/s by ip' });
  assert.equal(settings.rateLimits.length, 2);
  assert.deepEqual(
    problems.map(({ severity, message }) => `${severity} ${message}`),
    [
      'warning tells callers apart by claim:sub, which is not verified by this version: a caller may send whatever he likes',
    ],
  );
});

test('a value of more than 4096 characters is refused before any grammar looks at it', () => {
  for (const field of TRAFFIC_FIELDS) {
    const { settings, problems } = parse({ [field]: `eject ${'.'.repeat(1_000_000)} x` });
    assert.deepEqual(settings, DEFAULT_SETTINGS);
    assert.deepEqual(
      problems.map(({ message }) => message),
      ['has more than 4096 characters'],
    );
    assert.ok((problems[0]?.value.length ?? 0) < 100);
  }
});

test('secrets in annotations are not told, wherever they stand', () => {
  const url = 'redis://user:hunter2@redis:6379';
  const fields = Object.fromEntries(TRAFFIC_FIELDS.map((field) => [field, `${url}, 1 ${url}`]));
  const { problems } = parse({ ...fields, 'redis-password': 'hunter2', 'api-key': 'hunter2', store: url });
  assert.equal(problems.length, TRAFFIC_FIELDS.length + 3);
  assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
});

test('fields of a policy are told by the path that is given for them', () => {
  const { settings, problems } = parseFields(
    { timeout: '3s', mtls: 'stict', allow: undefined },
    DEFAULT_SETTINGS,
    (field) => `spec.${field}`,
  );
  assert.equal(settings.timeoutMs, 3000);
  assert.deepEqual(problems, [
    {
      severity: 'error',
      field: 'spec.mtls',
      value: '"stict"',
      message: 'is not an mTLS mode',
      meant: 'write strict or permissive',
    },
  ]);
});

test('an attacker who writes ten thousand names that do not exist gets few lines of log', () => {
  const names = Array.from({ length: 10_000 }, (_, index) => [`tulle.dev/time0ut-${index}`, '1s']);
  const { settings, problems } = parseAnnotations(
    { 'tulle.dev/timeout': '2s', ...Object.fromEntries(names) },
    DEFAULT_SETTINGS,
  );
  assert.equal(settings.timeoutMs, 2000);
  assert.equal(problems.length, 21);
  assert.equal(problems.at(-1)?.message, 'has 9980 more annotations of tulle.dev that do not exist');
});
