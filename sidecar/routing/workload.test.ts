import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { WorkloadResource } from '../../protocol/resources.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { answered, waiting } from '../../test/fixture/routed.ts';
import { toldServices } from '../../test/fixture/told-services.ts';
import { isStrict } from './inbound-policy.ts';
import { RunningWorkload } from './workload.ts';

function workload(context: TestContext, untold: TrafficSettings['mtls'] = 'permissive') {
  const mesh = toldServices(context);
  return { ...mesh, running: new RunningWorkload(mesh.told, 'shop/orders-1', untold) };
}

function service(key: string, settings: Partial<TrafficSettings> = {}) {
  return { key, settings: { ...DEFAULT_SETTINGS, ...settings }, access: [] };
}

function resource(
  services: WorkloadResource['ports'][number]['services'],
  otherPorts: Partial<TrafficSettings> = {},
): WorkloadResource {
  return {
    kind: 'workload',
    key: 'shop/orders-1',
    version: 'v',
    identity: 'shop/orders',
    terminating: false,
    ports: [{ port: 8080, protocol: 'http', services }],
    otherPorts: { ...DEFAULT_SETTINGS, ...otherPorts },
  };
}

const limits = (connections: number) => ({ connections, pending: 10 * connections, requests: 7 });

test("the pod's own opaque ports are not read, unless a service says what they speak", (context) => {
  const { told } = toldServices(context);
  const running = new RunningWorkload(told, 'shop/orders-1', 'permissive', [8080, 9090]);
  told.tell(resource([service('shop/a:80')]));
  const protocols = [8080, 9090, 7070].map((port) => running.port(port).policy()?.service.protocol);
  assert.deepEqual(protocols, ['http', 'tcp', 'detect']);
});

test('a port is protected by every service that sends to it, with the narrowest limits', (context) => {
  const { told, running } = workload(context);
  const port = running.port(8080);
  told.tell(
    resource([
      service('shop/a:80', { limits: limits(5) }),
      service('shop/b:81', { mtls: 'strict', allow: ['web'], limits: limits(3) }),
    ]),
  );
  const policy = port.policy();
  assert.ok(policy);
  assert.deepEqual(
    policy.protectors.map(({ key, namespace, settings }) => [key, namespace, settings.mtls]),
    [
      ['shop/a:80', 'shop', 'permissive'],
      ['shop/b:81', 'shop', 'strict'],
    ],
  );
  assert.equal(isStrict(policy), true);
  assert.deepEqual(policy.settings.limits, { connections: 3, pending: 30, requests: 7 });
  assert.deepEqual([policy.key, policy.service.protocol], ['shop/a:80', 'http']);
  assert.equal(port.policy(), policy, 'the same as long as nothing changed');
});

test('an attacker gains nothing at a port that no service names: what the namespace says holds there', (context) => {
  const { told, running } = workload(context);
  told.tell(resource([service('shop/a:80')], { mtls: 'strict', allow: [] }));
  const policy = running.port(9999).policy();
  assert.ok(policy && isStrict(policy));
  assert.deepEqual([policy.key, policy.protectors[0]?.settings.allow], ['shop/orders-1:9999', []]);
});

test('the first callers wait for the policy; then a permissive pod lets them in, a strict one nobody', (context) => {
  for (const [mode, after] of [
    ['permissive', 'let in'],
    ['strict', '503 service-unknown-yet'],
  ] as const) {
    const { running, pass } = workload(context, mode);
    const port = running.port(8080);
    assert.equal(port.policy(), undefined);
    waiting(port.without());
    pass(3_100);
    assert.equal(port.policy() === undefined ? answered(port.without()) : 'let in', after);
    context.mock.timers.reset();
  }
});

test('a pod that the control plane forgets stays protected as it was', (context) => {
  const { told, running } = workload(context);
  told.tell(resource([service('shop/a:80', { mtls: 'strict' })]));
  told.tellAbsent('workload', 'shop/orders-1');
  const policy = running.port(8080).policy();
  assert.ok(policy && isStrict(policy));
});

test('what is said of another pod does not concern this one', (context) => {
  const { told, running } = workload(context, 'strict');
  told.tell({ ...resource([service('shop/a:80')]), key: 'shop/orders-2' });
  assert.equal(running.port(8080).policy(), undefined);
});
