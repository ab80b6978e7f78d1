import assert from 'node:assert/strict';
import { CHART, helm } from './helm.ts';
import { kubectl } from './kubectl.ts';

/** Where the mesh is, in every cluster. */
export const SYSTEM = 'tulle-system';

const IN_SYSTEM = ['--namespace', SYSTEM];
const LIMIT = '120s';

/** Installs the chart as it is by default, unless a mesh is there: it is taken as it is. */
export async function installMesh(): Promise<void> {
  const { code, out } = await helm('status', 'tulle', ...IN_SYSTEM, '--output', 'json');
  const isThere = code === 0 && (JSON.parse(out) as { info: { status: string } }).info.status === 'deployed';
  if (!isThere) await upgradeMesh();
}

/** Installs or changes it: `assignments` are all that differs from the default. Waits until all is as it shall be. */
export async function upgradeMesh(...assignments: readonly string[]): Promise<void> {
  const set = assignments.flatMap((assignment) => ['--set', assignment]);
  const how = ['--create-namespace', '--reset-values', '--wait', '--timeout', LIMIT, ...set];
  const { code, out, err } = await helm('upgrade', '--install', 'tulle', CHART, ...IN_SYSTEM, ...how);
  assert.equal(code, 0, `helm upgrade --install: ${out}${err}`);
}

/** Takes the release away, where there is one. */
async function uninstallMesh(): Promise<void> {
  const { code, out, err } = await helm(
    'uninstall',
    'tulle',
    ...IN_SYSTEM,
    '--ignore-not-found',
    '--wait',
    '--timeout',
    LIMIT,
  );
  assert.equal(code, 0, `helm uninstall: ${out}${err}`);
}

/** Takes away what a mesh leaves too (docs/installation.md): as if there had never been one. */
export async function removeMesh(): Promise<void> {
  await uninstallMesh();
  await kubectl('delete', 'namespace', SYSTEM, '--ignore-not-found', '--timeout', LIMIT);
}
