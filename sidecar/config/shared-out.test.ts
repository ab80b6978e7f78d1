import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { Resource } from '../../protocol/resources.ts';
import { gatewayResource, serviceResource, toldServices } from '../../test/fixture/told-services.ts';
import { sharedOut, shareOf } from './shared-out.ts';

const settings = (connections: number, pending: number, requests: number, perSecond: number) => ({
  ...DEFAULT_SETTINGS,
  limits: { connections, pending, requests },
  retryBudget: { ratio: 0.2, perSecond },
});

test('limits and retries a second are shared, ratios and all else are not', () => {
  const { limits, retryBudget, ...rest } = shareOf(settings(1024, 1000, 4096, 10), 4);
  assert.deepEqual(limits, { connections: 256, pending: 250, requests: 1024 });
  assert.deepEqual(retryBudget, { ratio: 0.2, perSecond: 2.5 });
  const { limits: _limits, retryBudget: _budget, ...before } = DEFAULT_SETTINGS;
  assert.deepEqual(rest, before);
});

test('a share is rounded up, so that the workers together never have less than the limit, nor none', () => {
  for (const workers of [1, 2, 3, 7, 64]) {
    for (const limit of [1, 2, 5, 63, 64, 65, 1024]) {
      const { connections } = shareOf(settings(limit, 1, 1, 0), workers).limits;
      assert.ok(connections >= 1 && connections * workers >= limit, `${limit} by ${workers}`);
      assert.ok((connections - 1) * workers < limit, `no more than a share: ${limit} by ${workers}`);
    }
  }
  assert.equal(shareOf(settings(1, 1, 1, 0), 4).retryBudget.perSecond, 0, 'none stays none');
});

test('a subscription shared out tells shares of services, gateways as they are, and passes on the rest', (context) => {
  const { told } = toldServices(context);
  const shared = sharedOut(told, 2);
  const seen: Resource[] = [];
  const absent: string[] = [];
  shared.onResource((resource) => seen.push(resource));
  shared.onAbsent((kind, key) => absent.push(`${kind} ${key}`));
  shared.want('service', 't/app');
  shared.drop('service', 't/app');
  assert.deepEqual(told.asked, ['want service t/app', 'drop service t/app']);
  const service = serviceResource('t/app');
  const gateway = gatewayResource('t/edge', []);
  told.tell(service);
  told.tell(gateway);
  told.tellAbsent('service', 't/gone');
  assert.deepEqual(seen, [{ ...service, settings: shareOf(service.settings, 2) }, gateway]);
  assert.deepEqual(absent, ['service t/gone']);
  assert.deepEqual(shared.state(), told.state());
  assert.equal(shared.ready, undefined);
});
