import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POD_ANNOTATIONS, parsePodAnnotations, strayPodAnnotations } from './pod-annotations.ts';
import { formatProblem } from './problem.ts';

function parse(fields: Record<string, string>, base = {}) {
  const annotations = Object.fromEntries(
    Object.entries(fields).map(([name, text]) => [`tulle.dev/${name}`, text]),
  );
  return parsePodAnnotations(annotations, base);
}

const said = (fields: Record<string, string>) => parse(fields).problems.map(formatProblem);

test('every annotation of the design, with its example', () => {
  const fields = {
    'proxy-cpu-request': '100m',
    'proxy-cpu-limit': '1',
    'proxy-memory-request': '96Mi',
    'proxy-memory-limit': '256Mi',
    'proxy-image': 'registry.example:5000/mesh/tulle:0.1.0',
    'proxy-log-level': 'debug',
    'proxy-workers': '2',
    'skip-inbound-ports': '9000, 9001',
    'skip-outbound-ports': '3306',
    'skip-outbound-cidrs': '10.0.0.0/8, fd00::/8',
    'opaque-ports': '5432',
    'access-log': 'on',
    'native-sidecar': 'disabled',
  };
  assert.deepEqual(parse(fields), {
    settings: {
      cpuRequest: '100m',
      cpuLimit: '1',
      memoryRequest: '96Mi',
      memoryLimit: '256Mi',
      image: 'registry.example:5000/mesh/tulle:0.1.0',
      logLevel: 'debug',
      workers: 2,
      skipInboundPorts: [9000, 9001],
      skipOutboundPorts: [3306],
      skipOutboundCidrs: ['10.0.0.0/8', 'fd00::/8'],
      opaquePorts: [5432],
      accessLog: true,
      nativeSidecar: false,
    },
    problems: [],
  });
  assert.deepEqual(new Set(POD_ANNOTATIONS), new Set(['inject', 'trace-sample', ...Object.keys(fields)]));
});

test('what is read but not done yet is told', () => {
  const { settings, problems } = parse({ 'trace-sample': '1%' });
  assert.deepEqual(settings, { traceSample: 0.01 });
  assert.equal(problems[0]?.severity, 'warning');
});

test('a wrong value is told with what was meant, keeps what was set before, and the rest holds', () => {
  const wrong: Record<string, [string, RegExp][]> = {
    'proxy-cpu-request': [
      ['a lot', /is not an amount of CPU; write cores/],
      ['0', /is not an amount/],
    ],
    'proxy-cpu-limit': [['1Mi', /is not an amount of CPU/]],
    'proxy-memory-request': [['100m', /is not an amount of memory; write bytes with a unit/]],
    'proxy-memory-limit': [['32Mi', /is less than a proxy needs to start; write 64Mi or more/]],
    'proxy-image': [
      ['tulle latest', /is not an image/],
      ['-rm', /is not an image/],
      ['a'.repeat(501), /is not/],
    ],
    'proxy-log-level': [['verbose', /is not a log level; write debug, info, warn, error/]],
    'proxy-workers': [
      ['0', /is not a number of processes/],
      ['65', /from 1 to 64/],
      ['1.5', /is not/],
    ],
    'skip-inbound-ports': [
      ['http', /is not a list of ports/],
      ['65536', /is not/],
      ['1,', /is not/],
    ],
    'skip-outbound-ports': [['8000-9000', /is not a list of ports/]],
    'skip-outbound-cidrs': [
      ['10.0.0.0', /has "10.0.0.0", which is no range of addresses/],
      ['10.0.0.0/33', /no range/],
      ['fd00::/129', /no range/],
      ['10.0.0.0/8 -j ACCEPT', /no range/],
      ['fe80::1%eth0/64', /no range/],
    ],
    'opaque-ports': [['all', /is not a list of ports/]],
    'access-log': [['true', /is not a switch; write "on" or "off"/]],
    'trace-sample': [
      ['101%', /is not a share/],
      ['0.5', /is not a share/],
    ],
    'native-sidecar': [['false', /is not a switch; write enabled or disabled/]],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const [value, pattern] of values) {
      const base = { logLevel: 'warn' as const, workers: 7 };
      const other: Record<string, string> = field === 'access-log' ? {} : { 'access-log': 'on' };
      const { settings, problems } = parse({ [field]: value, ...other }, base);
      assert.deepEqual(settings, { ...base, ...(field === 'access-log' ? {} : { accessLog: true }) }, field);
      assert.equal(problems.length, 1, `${field}: ${value}`);
      assert.match(problems.map(formatProblem).join(), pattern);
    }
  }
});

test('text of any length is refused before a grammar looks at it', () => {
  assert.match(
    said({ 'skip-outbound-cidrs': '1,'.repeat(1_000_000) })[0] ?? '',
    /has more than 4096 characters/,
  );
  assert.ok((said({ 'proxy-image': 'a/'.repeat(2000) })[0] ?? '').length < 300);
});

test('strangers among the annotations of a pod', () => {
  const stray = (name: string) =>
    strayPodAnnotations({ [name]: 'x' })
      .map(formatProblem)
      .join();
  assert.match(
    stray('tulle.dev/proxy-cpu-requets'),
    /does not exist: tulle.dev\/proxy-cpu-requets; perhaps tulle.dev\/proxy-cpu-request was meant/,
  );
  assert.match(
    stray('tulle.dev/retries'),
    /does nothing on a pod: tulle.dev\/retries is read on a Service or Namespace/,
  );
  assert.match(stray('tulle.dev/inject'), /is read as a label; write it in the pod's metadata.labels/);
  assert.match(stray('tulle.dev/xyzzy'), /known on pods are proxy-cpu-request, /);
  for (const name of [
    'prometheus.io/port',
    'tulle.dev/proxy-version',
    'tulle.dev/changes',
    'tulle.dev/access-log',
  ])
    assert.equal(stray(name), '', name);
});

test('annotations called __proto__ or constructor are unknown names, and change no object', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.deepEqual(parse({ [name]: 'x' }).settings, {});
    assert.match(strayPodAnnotations({ [`tulle.dev/${name}`]: 'x' })[0]?.message ?? '', /does not exist/);
  }
});

test('an attacker who writes ten thousand strange names on a pod gets few lines of log', () => {
  const names = Array.from({ length: 10_000 }, (_, index) => [`tulle.dev/proxy-imag3-${index}`, 'x']);
  const problems = strayPodAnnotations(Object.fromEntries(names));
  assert.equal(problems.length, 21);
  assert.equal(problems.at(-1)?.message, 'has 9980 more annotations of tulle.dev that do not exist');
});
