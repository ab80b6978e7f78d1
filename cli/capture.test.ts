import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureOptions } from './capture.ts';

const FLAGS = {
  inboundPort: '4143',
  outboundPort: '4140',
  proxyUid: '2102',
  skipInboundPorts: '',
  skipOutboundPorts: '',
  skipOutboundCidrs: '',
};

test('flags become options', () => {
  assert.deepEqual(captureOptions({ ...FLAGS, skipInboundPorts: '22', skipOutboundCidrs: '10.0.0.0/8' }), {
    inboundPort: 4143,
    outboundPort: 4140,
    proxyUid: 2102,
    skipInboundPorts: [{ first: 22, last: 22 }],
    skipOutboundPorts: [],
    skipOutboundBlocks: [{ family: 4, text: '10.0.0.0/8', bits: 8 }],
  });
});

for (const [flag, value, told] of [
  ['inboundPort', 'http', /^Error: --inbound-port "http" is not a port/],
  ['outboundPort', '4143', /^Error: --outbound-port "4143" is --inbound-port too/],
  ['proxyUid', '0', /^Error: --proxy-uid "0" is not a count; write a whole number from 1 to/],
  ['proxyUid', '4294967295', /^Error: --proxy-uid/],
  ['skipInboundPorts', 'all', /^Error: --skip-inbound-ports "all"/],
  ['skipOutboundPorts', '70000', /^Error: --skip-outbound-ports "70000"/],
  ['skipOutboundCidrs', '10.0.0.0/8\n-A OUTPUT -j ACCEPT', /^Error: --skip-outbound-cidrs "10/],
] as const) {
  test(`${flag} ${JSON.stringify(value)} is refused with its flag`, () => {
    assert.throws(() => captureOptions({ ...FLAGS, [flag]: value }), told);
  });
}
