import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBeforeInstall } from './before-install.ts';
import { clusterFacts } from './facts.fixture.ts';
import type { ClusterFacts } from './facts.ts';

/** What is not as it should be. */
function wrong(told: Partial<ClusterFacts>): string[] {
  const findings = checkBeforeInstall(clusterFacts(told)).filter(({ result }) => result !== 'ok');
  for (const { remedy } of findings) assert.match(remedy ?? '', /^[A-Z].*[^ ]$/);
  return findings.map(({ result, check, message }) => `${result} ${check}: ${message}`);
}

test('a cluster that has all has nothing wrong', () => {
  assert.deepEqual(wrong({}), []);
});

test('an API server below 1.28 is too old', () => {
  assert.match(wrong({ version: 'v1.27.9+k3s1' }).join('\n'), /^error API server: .*1\.27\.9.* is too old/m);
  assert.deepEqual(wrong({ version: 'v2.0.0', kubelets: [] }), []);
});

test('one old node is enough to say that Jobs may not end', () => {
  const found = wrong({ kubelets: ['v1.36.3', 'v1.28.1'] });
  assert.match(found.join('\n'), /^warning native sidecars: v1\.28\.1 has no/);
});

test('what the user may not do is named', () => {
  assert.match(
    wrong({ forbidden: ['create clusterroles'] }).join(),
    /error .*you may not create clusterroles/,
  );
});

test('a cluster without the Gateway API can be used, and is told of', () => {
  assert.match(wrong({ groups: ['apps'] }).join(), /^warning Gateway API/);
});
