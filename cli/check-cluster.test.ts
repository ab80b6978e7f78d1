import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterFacts } from './check-cluster/facts.fixture.ts';
import { checkCluster, showFinding } from './check-cluster.ts';

test('a cluster without the mesh is checked for what is needed, and it is an error only where it is expected', () => {
  const results = (mustBeInstalled: boolean) =>
    checkCluster(clusterFacts(), mustBeInstalled, Date.now())
      .filter(({ result }) => result !== 'ok')
      .map(({ result, check }) => `${result} ${check}`);
  assert.deepEqual(results(false), []);
  assert.deepEqual(results(true), ['error mesh']);
});

test('what could not be read is said, not passed over', () => {
  const findings = checkCluster(clusterFacts({ unread: ['pods (403)'] }), false, Date.now());
  assert.match(findings.at(-1)?.message ?? '', /pods \(403\)/);
});

test('a finding is shown with its remedy below it', () => {
  assert.equal(
    showFinding({ check: 'pods', result: 'error', message: 'is wrong', remedy: 'Do this.' }),
    'ERROR   pods: is wrong\n        Do this.',
  );
});
