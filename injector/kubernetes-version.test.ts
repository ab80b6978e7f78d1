import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atLeast, parseKubernetesVersion } from './kubernetes-version.ts';

test('versions as API servers and people write them', () => {
  assert.deepEqual(parseKubernetesVersion('v1.36.3'), { major: 1, minor: 36 });
  assert.deepEqual(parseKubernetesVersion('1.29+'), { major: 1, minor: 29 });
  assert.deepEqual(parseKubernetesVersion('1.30'), { major: 1, minor: 30 });
  assert.deepEqual(parseKubernetesVersion('v1.31.2-gke.100'), { major: 1, minor: 31 });
  for (const wrong of ['', '1', 'one.two', '1.', '1.x', '1.30 ', '-1.2'])
    assert.equal(parseKubernetesVersion(wrong), undefined, wrong);
});

test('versions are compared by number', () => {
  const at = (major: number, minor: number) => atLeast({ major, minor }, { major: 1, minor: 29 });
  assert.deepEqual([at(1, 28), at(1, 29), at(1, 100), at(2, 0), at(0, 99)], [false, true, true, true, false]);
});
