import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { type Definition, schemasOf } from '../../cli/check-cluster/facts.ts';
import type { Finding } from '../../cli/check-cluster/finding.ts';
import { readCluster } from '../../cli/check-cluster/read-cluster.ts';
import { installation } from '../../cli/install.ts';
import { type Ran, runCommand } from '../fixture/command.ts';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import { manifests } from './helm.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const DEFINITIONS = installation({ set: [], values: [], crds: 'only', apiVersions: [] });

before(async () => {
  const args = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
  const { code, err } = await runCommand('kubectl', args, { input: DEFINITIONS });
  assert.equal(code, 0, err);
});

function check(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return runCommand(process.execPath, [MAIN, 'check', '--cluster', ...args], { env });
}

test('a real cluster has what an installation needs', async () => {
  const { out } = await check(['--json']);
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  for (const name of ['API server', 'native sidecars', 'your permissions'])
    assert.equal(findings.find((finding) => finding.check === name)?.result, 'ok', name);
  assert.ok(!findings.some((finding) => finding.check === 'what could be read'));
});

test('definitions that were applied are those of this version: the API server adds nothing to their schemas', async () => {
  const { crds } = await readCluster(undefined);
  for (const [key, definition] of manifests(DEFINITIONS)) {
    const ours = schemasOf(definition as unknown as Definition);
    assert.ok(crds.get(definition.metadata.name) === ours, key);
  }
});

test('a user without rights is told what is missing, and that not all was seen', async (context) => {
  const file = join(temporaryFolder(context), 'kubeconfig');
  const config = parse(readFileSync(process.env.KUBECONFIG ?? '', 'utf8'));
  const account = await runCommand('kubectl', ['create', 'token', 'default', '--namespace', 'default']);
  assert.equal(account.code, 0, account.err);
  config.users[0].user = { token: account.out.trim() };
  writeFileSync(file, stringify(config));
  const { code, out } = await check([], { KUBECONFIG: file });
  assert.equal(code, 1);
  assert.match(out, /^ERROR {3}your permissions: you may not create .* and \d+ more\n +Install as/m);
  assert.match(out, /^warning what could be read: some was not looked at: nodes \(403\)/m);
});

test('an API server that does not answer is told with its address', async (context) => {
  const file = join(temporaryFolder(context), 'kubeconfig');
  const config = parse(readFileSync(process.env.KUBECONFIG ?? '', 'utf8'));
  // Nobody may listen on port 1.
  config.clusters[0].cluster.server = 'https://127.0.0.1:1';
  writeFileSync(file, stringify(config));
  const { code, err } = await check([], { KUBECONFIG: file });
  assert.equal(code, 1);
  assert.match(
    err,
    /^tulle: the API server at https:\/\/127\.0\.0\.1:1 does not answer \(.*\); look at KUBECONFIG/,
  );
});

test('a context that is not there is told with those that are', async () => {
  const { code, err } = await check(['--context', 'nowhere']);
  assert.equal(code, 1);
  assert.match(err, /--context "nowhere" is not in KUBECONFIG; write one of/);
});
