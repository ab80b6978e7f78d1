import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sidecarOptions, workersOption } from './sidecar.ts';
import { parseSidecarFlags } from './sidecar-flags.ts';

const BASE = ['--standalone', 'mesh.yaml', '--outbound', '127.0.0.1:0'];
const options = (...args: string[]) => sidecarOptions(parseSidecarFlags(args));
const refused = (args: string[], message: string) =>
  assert.throws(() => options(...args), { name: 'Error', message });

test('the least that a sidecar is started with: its defaults are those of the help', () => {
  assert.deepEqual(options(...BASE), {
    standalone: 'mesh.yaml',
    outbound: '127.0.0.1:0',
    drainMs: 10_000,
    connectMs: 2000,
    maxQueueMs: 250,
    detectMs: 1000,
    tcpIdleMs: 3_600_000,
    limits: { headBytes: 65_536, headers: 100, headMs: 10_000, idleMs: 600_000 },
    accessLog: false,
  });
});

test('every flag becomes its option', () => {
  const flags: [flag: string, value: string][] = [
    ['--control-plane', 'a:1'],
    ['--control-plane', '[::1]:2'],
    ['--bundle', 'bundle.pem'],
    ['--token-file', 'token'],
    ['--identity', 'cert.pem,key.pem,roots.pem'],
    ['--workload', 'shop/orders=127.0.0.1:9001'],
    ['--service-account', 'runner'],
    ['--inbound', '127.0.0.1:4143'],
    ['--outbound', '127.0.0.1:4140'],
    ['--outbound-service', 'shop/db=127.0.0.1:5432'],
    ['--outbound-service', 'shop/cache=[::1]:0'],
    ['--gateway', '0.0.0.0:80'],
    ['--gateway-name', 'shop/edge'],
    ['--admin', '127.0.0.1:9901'],
    ['--namespace', 'shop'],
    ['--drain', '3s'],
    ['--connect-timeout', '500ms'],
    ['--max-head-bytes', '1024'],
    ['--max-headers', '7'],
    ['--head-timeout', '1s'],
    ['--idle-timeout', '1m'],
    ['--detect-timeout', '200ms'],
    ['--tcp-idle-timeout', '0'],
  ];
  assert.deepEqual(options(...flags.flat(), '--access-log'), {
    controlPlane: ['a:1', '[::1]:2'],
    bundleFile: 'bundle.pem',
    tokenFile: 'token',
    identity: { cert: 'cert.pem', key: 'key.pem', bundle: 'roots.pem' },
    workload: { service: 'shop/orders', address: '127.0.0.1:9001', serviceAccount: 'runner' },
    inbound: '127.0.0.1:4143',
    outbound: '127.0.0.1:4140',
    outboundServices: [
      { service: 'shop/db', address: '127.0.0.1:5432' },
      { service: 'shop/cache', address: '[::1]:0' },
    ],
    gateway: '0.0.0.0:80',
    gatewayName: 'shop/edge',
    admin: '127.0.0.1:9901',
    namespace: 'shop',
    drainMs: 3000,
    connectMs: 500,
    maxQueueMs: 250,
    detectMs: 200,
    tcpIdleMs: 0,
    limits: { headBytes: 1024, headers: 7, headMs: 1000, idleMs: 60_000 },
    accessLog: true,
  });
});

test('a sidecar has one source of configuration, and something to listen on', () => {
  const source = 'give either --standalone MESH.YAML or --control-plane HOST:PORT';
  refused(['--outbound', 'a:1'], source);
  refused([...BASE, '--control-plane', 'a:1'], source);
  refused(
    ['--standalone', 'mesh.yaml', '--admin', 'a:1'],
    'nothing to listen on: give --inbound, --outbound, --outbound-service or --gateway with HOST:PORT, --gateway-listen, or --pod',
  );
});

test("a Gateway's own ports are opened at an IP, of whatever family", () => {
  const listen = (ip: string, ...more: string[]) =>
    options('--control-plane', 'a:1', '--gateway-name', 'shop/edge', '--gateway-listen', ip, ...more);
  assert.equal(listen('0.0.0.0').gatewayListen, '0.0.0.0');
  assert.equal(listen('::').gatewayListen, '[::]');
  assert.equal(listen('[fd00::7]').gatewayListen, '[fd00::7]');
  assert.match(listen('*').gatewayListen ?? '', /^(\[::\]|0\.0\.0\.0)$/);
  for (const wrong of ['0.0.0.0:80', 'edge', '', '1.2.3'])
    assert.throws(() => listen(wrong), {
      message: `--gateway-listen "${wrong}" is not an IP address; write 0.0.0.0, or * for all interfaces`,
    });
  assert.throws(() => listen('0.0.0.0', '--gateway', 'a:1'), {
    message: "--gateway-listen opens the ports of the Gateway's listeners: give it without --gateway",
  });
});

test('each wrong address names its flag', () => {
  for (const flag of ['--inbound', '--outbound', '--gateway', '--admin']) {
    refused(
      ['--standalone', 'm', '--inbound', 'a:1', flag, '4140'],
      `${flag} "4140" is not an address; write HOST:PORT, like 127.0.0.1:4140 (port 0: the kernel chooses)`,
    );
  }
  assert.throws(() => options('--outbound', 'a:1', '--control-plane', 'a:1', '--control-plane', 'b'), {
    message: /^--control-plane "b" is not an address;/,
  });
});

test('a workload that is none, or two, or without an address, is told', () => {
  for (const text of [
    'orders=a:1',
    'shop/orders',
    'shop/orders=a:1=b:2',
    'Shop/orders=a:1',
    '../orders=a:1',
    '=a:1',
  ]) {
    const meant = 'write NAMESPACE/NAME=HOST:PORT, like shop/orders=127.0.0.1:9001';
    if (text === 'shop/orders')
      assert.throws(() => options(...BASE, '--workload', text), /--workload "" is not an address/);
    else refused([...BASE, '--workload', text], `--workload "${text}" is not a workload; ${meant}`);
  }
});

test('a service to take calls to has a name of its namespace and an address', () => {
  for (const text of ['db=a:1', 'shop/db=a:1=b', '=a:1', 'Shop/db=a:1']) {
    const meant = 'write NAMESPACE/NAME=HOST:PORT, like shop/db=127.0.0.1:5432';
    refused(
      ['--standalone', 'm', '--outbound-service', text],
      `--outbound-service "${text}" is not a service and an address; ${meant}`,
    );
  }
  assert.throws(() => options('--standalone', 'm', '--outbound-service', 'shop/db'), /--outbound-service ""/);
});

test('an identity is three files', () => {
  for (const text of ['', 'cert', 'cert,key', 'cert,key,', 'cert,,bundle', 'a,b,c,d']) {
    refused([...BASE, '--identity', text], `--identity "${text}" is not three files; write CERT,KEY,BUNDLE`);
  }
});

test('limits that would let no request in, or any, are refused', () => {
  refused(
    [...BASE, '--max-head-bytes', '255'],
    '--max-head-bytes "255" is not a count; write a whole number from 256 to 1048576',
  );
  assert.throws(() => options(...BASE, '--max-head-bytes', '1048577'), /--max-head-bytes "1048577"/);
  assert.throws(() => options(...BASE, '--max-headers', '0'), /--max-headers "0" is not a count/);
  assert.throws(() => options(...BASE, '--max-headers', '10001'), /--max-headers "10001" is not a count/);
});

test('a time that is none names its flag', () => {
  for (const flag of [
    '--drain',
    '--connect-timeout',
    '--head-timeout',
    '--idle-timeout',
    '--detect-timeout',
    '--tcp-idle-timeout',
  ]) {
    assert.throws(() => options(...BASE, flag, '0s'), {
      message: new RegExp(`^${flag} "0s" is not a duration; `),
    });
  }
});

test('a peer has no port 0, names are names, and a service account belongs to a workload', () => {
  const many = ['--outbound', '127.0.0.1:0'];
  const meant = 'write the port where it listens, from 1 to 65535';
  refused(['--control-plane', 'a:0', ...many], `--control-plane "a:0" has port 0; ${meant}`);
  refused(
    [...BASE, '--workload', 'shop/orders=127.0.0.1:0'],
    `--workload "127.0.0.1:0" has port 0; ${meant}`,
  );
  refused([...BASE, '--gateway-name', 'edge'], '--gateway-name "edge" is not NAMESPACE/NAME, like shop/edge');
  refused([...BASE, '--service-account', 'a'], '--service-account is that of --workload or --pod: give both');
  for (const name of ['Shop', '../x', 'a b', '']) {
    assert.throws(() => options(...BASE, '--namespace', name), /^Error: --namespace "/);
  }
});

test('one worker beside an application, one for each core at a gateway, or as many as are told', () => {
  const workers = (cores: number, ...args: string[]) => workersOption(parseSidecarFlags(args), cores);
  const gateway = ['--gateway', '0.0.0.0:80'];
  assert.equal(workers(8, '--outbound', 'a:1'), 1);
  assert.equal(workers(8, ...gateway), 8);
  assert.equal(workers(8, ...gateway, '--outbound', 'a:1'), 1);
  assert.equal(workers(8, ...gateway, '--inbound', 'a:1'), 1);
  assert.equal(workers(8, '--gateway-listen', '0.0.0.0'), 8);
  assert.equal(workers(128, ...gateway), 64);
  assert.equal(workers(8, ...gateway, '--workers', '2'), 2);
  assert.equal(workers(1, '--outbound', 'a:1', '--workers', '64'), 64);
  for (const text of ['0', '65', '1.5', '-1', 'all', '']) {
    const message = `--workers "${text}" is not a count; write a whole number from 1 to 64`;
    assert.throws(() => workers(2, `--workers=${text}`), { message });
  }
});
