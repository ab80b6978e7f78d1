import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { appMesh, temporaryDir, writeMesh } from './fixture/relay.ts';
import { application } from './fixture/small-mesh.ts';
import { steadyLoad } from './fixture/steady-load.ts';
import { until } from './fixture/wait.ts';

const MAIN = join(import.meta.dirname, '../cli/main.ts');
/** Lines of so many requests fill a pipe, and what a sidecar keeps for it. */
const REQUESTS = 8_000;

/** A sidecar that logs each request to `stderr`; resolves with its outbound address. */
async function logging(
  context: TestContext,
  stderr: number | 'pipe',
): Promise<{ child: ChildProcess; outbound: string }> {
  const meshFile = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(meshFile, appMesh([await application(context, 'app')]));
  const args = [
    'sidecar',
    '--standalone',
    meshFile,
    '--namespace',
    't',
    '--outbound',
    '127.0.0.1:0',
    '--access-log',
  ];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', stderr] });
  context.after(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')) as [
    string,
  ];
  return { child, outbound: (JSON.parse(line) as { outbound: string }).outbound };
}

for (const [what, open] of [
  ['a log on a full disk', () => openSync('/dev/full', 'w')],
  ['a collector that stopped reading the log', () => 'pipe' as const],
] as const) {
  test(`${what} fails no request`, async (context) => {
    const { child, outbound } = await logging(context, open());
    const load = steadyLoad(outbound, 'app');
    await until('many requests', () => load.succeeded + load.failures.length >= REQUESTS);
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.equal(child.exitCode, null);
  });
}
