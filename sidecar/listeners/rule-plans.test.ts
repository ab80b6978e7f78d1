import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routeTo, serviceResource, toldServices } from '../../test/fixture/told-services.ts';
import { Quotas } from '../quotas/quotas.ts';
import { RulePlans } from './rule-plans.ts';

test('services are followed as long as a route of the Gateway names them, whoever else follows them', (context) => {
  const mesh = toldServices(context);
  const plans = new RulePlans(mesh.services, 't/edge', new Quotas());
  const followed = () => [...mesh.services.all()].map(({ key }) => key);
  const rule = { matches: [], backends: [{ service: 't/app', weight: 1 }] };
  const copied = { ...rule, mirrors: [{ service: 't/copy', share: 1 }] };
  plans.replace([
    { ...routeTo('t/r', '/', {}), rules: [copied, rule] },
    routeTo('t/old', '/', { 't/old': 1 }),
  ]);
  mesh.services.pin('t/old');
  for (const key of ['t/app', 't/copy', 't/old']) mesh.told.tell(serviceResource(key));
  mesh.pass(200_000);
  assert.deepEqual(followed(), ['t/app', 't/copy', 't/old']);
  plans.replace([{ ...routeTo('t/r', '/', {}), rules: [rule] }]);
  mesh.pass(200_000);
  assert.deepEqual(followed(), ['t/app', 't/old']);
  mesh.services.unpin('t/old');
  mesh.pass(200_000);
  assert.deepEqual(followed(), ['t/app']);
});
