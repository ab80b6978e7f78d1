import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resource } from '../../protocol/resources.ts';
import { serviceOfPort } from '../../test/fixture/captured-mesh.ts';
import { toldServices } from '../../test/fixture/told-services.ts';
import { ownEndpointsPlain } from './own-endpoints.ts';

test("a pod's own endpoints lose their identity, those of others keep it", (context) => {
  const { told } = toldServices(context);
  const seen: Resource[] = [];
  ownEndpointsPlain(told, ['10.0.0.1', 'fd00::1']).onResource((resource) => seen.push(resource));
  const endpoints = ['10.0.0.1:80', '10.0.0.11:80', '[fd00::1]:80', '[fd00::11]:80'];
  told.tell(serviceOfPort('shop/a:80', endpoints, { identity: 'shop/a' }));
  const [first] = seen;
  assert.ok(first?.kind === 'service');
  assert.deepEqual(
    first.service.endpoints.map(({ address, identity }) => [address, identity]),
    [
      ['10.0.0.1:80', undefined],
      ['10.0.0.11:80', 'shop/a'],
      ['[fd00::1]:80', undefined],
      ['[fd00::11]:80', 'shop/a'],
    ],
  );
  const other = serviceOfPort('shop/b:80', ['10.0.0.2:80'], { identity: 'shop/b' });
  told.tell(other);
  assert.equal(seen[1], other);
});
