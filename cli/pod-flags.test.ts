import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podOption } from './pod-flags.ts';

const POD = { pod: 'shop/orders-7d', 'pod-ips': '10.0.0.7,FD00:0::7', 'service-account': 'orders' };

test('a pod as its template gives it', () => {
  assert.equal(podOption({}), undefined);
  const probes =
    '[{"port":8080,"path":"/healthz?full=1"},{"port":8080,"path":"/"},{"port":9000,"grpc":""},{"port":5432,"tcp":true}]';
  assert.deepEqual(
    podOption({
      ...POD,
      probes,
      mtls: 'strict',
      'opaque-ports': '3306,6379',
      'inbound-port': '1',
      'outbound-port': '2',
    }),
    {
      key: 'shop/orders-7d',
      serviceAccount: 'orders',
      ips: ['10.0.0.7', 'fd00::7'],
      mtls: 'strict',
      probes: [
        { port: 8080, kind: 'http', path: '/healthz', query: 'full=1' },
        { port: 8080, kind: 'http', path: '/', query: '' },
        { port: 9000, kind: 'grpc' },
        { port: 5432, kind: 'tcp' },
      ],
      opaquePorts: [3306, 6379],
      inboundPort: 1,
      outboundPort: 2,
    },
  );
  const plain = podOption(POD);
  assert.deepEqual(
    [plain?.mtls, plain?.probes, plain?.inboundPort, plain?.outboundPort],
    ['permissive', [], 4143, 4140],
  );
});

test('what is wrong with a pod is said with the flag, the value and what was meant', () => {
  for (const [flags, message] of [
    [{ ...POD, pod: 'orders' }, /--pod "orders" is not NAMESPACE\/NAME/],
    [{ pod: 'shop/orders' }, /--pod needs --pod-ips and --service-account/],
    [{ ...POD, 'pod-ips': '10.0.0' }, /--pod-ips "10\.0\.0" is not an IP address; write/],
    [{ ...POD, 'pod-ips': '' }, /--pod-ips "" is not an IP address/],
    [{ ...POD, mtls: 'on' }, /--mtls "on" is not a mode; write strict or permissive/],
    [{ ...POD, probes: '[' }, /--probes "\[" is not JSON; write a list like/],
    [{ ...POD, probes: '{}' }, /--probes is not a list/],
    [{ ...POD, probes: '[{"port":0,"path":"/"}]' }, /--probes has an entry that is no probe: \{"port":0/],
    [{ ...POD, probes: '[{"port":80}]' }, /no probe/],
    [{ ...POD, probes: '[{"port":80,"path":"x"}]' }, /no probe/],
    [{ ...POD, 'opaque-ports': '0' }, /--opaque-ports "0" is not a list of ports; write/],
    [{ ...POD, 'inbound-port': '65536' }, /--inbound-port "65536" is not a count/],
  ] as const)
    assert.throws(() => podOption(flags), message);
});
