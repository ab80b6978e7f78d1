import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../fixture/command.ts';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import type { StormRecord } from './report.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** Those whose recovery waits for no time limit of the mesh: `npm run chaos` has all. */
const QUICK = [
  ...[
    'kill-application',
    'kill-sidecar',
    'kill-entry',
    'kill-service',
    'kill-control-plane',
    'kill-control-planes',
  ],
  ...['freeze-application', 'reset-link', 'refuse-link', 'garble-link', 'lose-names', 'fill-disk'],
  ...['kill-redis', 'freeze-redis', 'silent-redis', 'late-redis'],
];
/** These hit whatever else goes on; a link or a name must be used to feel anything. */
const SURE = /^(kill-.*|freeze-.*|fill-disk)$/;

function chaos(...args: readonly string[]) {
  return runCommand(process.execPath, [MAIN, ...args], { limitMs: 500_000 });
}

test('a short storm on real processes keeps every invariant, and its seed and result are written down', async (context) => {
  const folder = temporaryFolder(context);
  const results = join(folder, 'chaos.json');
  const storm = ['--seed', '7', '--storm', '18', '--load', '0.15', '--leaf-life', '300'];
  const { code, out, err } = await chaos(
    ...storm,
    '--faults',
    QUICK.join(','),
    '--results',
    results,
    '--logs',
    folder,
  );
  assert.equal(code, 0, `${out}\n${err}`);
  const { storms } = JSON.parse(readFileSync(results, 'utf8')) as { storms: StormRecord[] };
  const [record] = storms;
  assert.deepEqual([storms.length, record?.seed, record?.passed], [1, 7, true]);
  assert.ok((record?.requests ?? 0) > 0);
  const { faults = {}, struck = {} } = record ?? {};
  assert.ok(Object.keys(faults).length >= 4, JSON.stringify(faults));
  for (const [fault, count] of Object.entries(faults).filter(([name]) => SURE.test(name)))
    assert.equal(struck[fault], count, `${fault} did not hit: ${out}`);
  const [quota] = record?.quotas ?? [];
  assert.ok((quota?.letIn ?? 0) > 0, 'the service with a quota was reached');
  assert.ok((quota?.refused ?? 0) > 0, 'and it was asked for more than its quota');
});

test('a flag or a fault that there is not is told by its name, and starts nothing', async () => {
  for (const [args, told] of [
    [['--minutes', 'many'], /--minutes "many" is not a number/],
    [['--faults', 'flood'], /no fault "flood"; there are kill-application, /],
  ] as const) {
    const { code, out, err } = await chaos(...args);
    assert.equal(code, 1);
    assert.match(err, told);
    assert.equal(out, '');
  }
});
