import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT, read } from './repository.ts';

/** A file, and what it imports. */
type Case = readonly [from: string, specifier: string];

const WRONG: readonly Case[] = [
  ['sidecar/main.ts', '../control-plane/main.ts'],
  ['sidecar/listeners/inbound.ts', '../../control-plane/registry/file-registry.ts'],
  ['sidecar/http1/head.ts', '../../control-plane/log.ts'],
  ['sidecar/filters/cache.ts', '../../cli/main.ts'],
  ['sidecar/filters/cache.ts', '../../bench/main.ts'],
  ['sidecar/filters/cache.test.ts', '../../control-plane/main.ts'],
  ['control-plane/main.ts', '../sidecar/main.ts'],
  ['control-plane/distribution/server.ts', '../../sidecar/identity/identity.ts'],
  ['control-plane/distribution/server.ts', '../../cli/log.ts'],
  ['injector/main.ts', '../control-plane/main.ts'],
  ['protocol/service.ts', '../sidecar/log.ts'],
  ['protocol/annotations/parse.ts', '../../control-plane/log.ts'],
  ['protocol/service.ts', '../cli/flags.ts'],
  ['cli/main.ts', '../bench/main.ts'],
  ['sidecar/listeners/relay.ts', '../main.ts'],
  ['sidecar/listeners/admin.ts', '../workers/messages.ts'],
  ['sidecar/telemetry/metrics.ts', '../workers/messages.ts'],
  ['sidecar/workers/worker.ts', '../main.ts'],
  ['sidecar/workers/worker.ts', '../../cli/log.ts'],
  ['sidecar/routing/plan.ts', '../listeners/relay.ts'],
  ['sidecar/routing/plan.ts', '../options.ts'],
  ['sidecar/filters/retry.ts', '../routing/plan.ts'],
  ['sidecar/filters/retry.ts', '../listeners/relay.ts'],
  ['sidecar/balancing/cluster.ts', '../filters/retry.ts'],
  ['sidecar/upstream/endpoint.ts', '../balancing/cluster.ts'],
  ['sidecar/upstream/endpoint.ts', '../main.ts'],
  ['sidecar/exchange.ts', './filters/filter.ts'],
  ['sidecar/http1/head.ts', '../exchange.ts'],
  ['sidecar/http1/head.ts', '../telemetry/explanation.ts'],
  ['sidecar/http1/deeper/head.ts', '../../upstream/endpoint.ts'],
  ['sidecar/tcp/splice.ts', '../http1/head.ts'],
  ['sidecar/identity/identity.ts', '../config/subscription.ts'],
  ['sidecar/telemetry/metrics.ts', '../listeners/admin.ts'],
  ['sidecar/config/subscription.ts', '../routing/services.ts'],
  ['sidecar/quotas/lease.ts', '../filters/filter.ts'],
  ['sidecar/quotas/lease.ts', '../exchange.ts'],
];

const RIGHT: readonly Case[] = [
  ['sidecar/main.ts', './listeners/inbound.ts'],
  ['sidecar/main.ts', '../protocol/service.ts'],
  ['sidecar/workers/supervisor.ts', '../listeners/admin.ts'],
  ['sidecar/workers/supervisor.ts', '../options.ts'],
  ['sidecar/listeners/inbound.ts', '../routing/plan.ts'],
  ['sidecar/listeners/inbound.ts', '../upstream/endpoint.ts'],
  ['sidecar/listeners/inbound.ts', '../exchange.ts'],
  ['sidecar/routing/plan.ts', '../filters/filter.ts'],
  ['sidecar/routing/plan.ts', '../config/subscription.ts'],
  ['sidecar/filters/retry.ts', '../http1/head.ts'],
  ['sidecar/filters/rate-limit.ts', '../quotas/account.ts'],
  ['sidecar/balancing/cluster.ts', '../upstream/endpoint.ts'],
  ['sidecar/upstream/endpoint.ts', '../identity/identity.ts'],
  ['sidecar/config/control-plane.ts', '../identity/identity.ts'],
  ['sidecar/config/control-plane.ts', '../../protocol/control-messages.ts'],
  ['sidecar/config/standalone.ts', './control-plane.ts'],
  ['sidecar/http1/head.ts', '../http/limits.ts'],
  ['control-plane/main.ts', './registry/file-registry.ts'],
  ['control-plane/main.ts', '../protocol/service.ts'],
  ['protocol/annotations/parse.ts', '../service.ts'],
  ['cli/main.ts', '../sidecar/main.ts'],
  ['test/relay.test.ts', '../control-plane/main.ts'],
];

/** The rules as they are; the copy is no git repository. */
const RULES = JSON.stringify({ ...JSON.parse(read('biome.json')), vcs: { enabled: false } });

const importNames = (specifier: string) => `import { x } from '${specifier}';\nx();\n`;
const importTypes = (specifier: string) => `import type { X } from '${specifier}';\nexport type Y = X;\n`;
const reExport = (specifier: string) => `export { x } from '${specifier}';\n`;
const importLater = (specifier: string) => `await import('${specifier}');\n`;

/** Lints a file with one import by the repository's rules; says whether they refuse it. */
function isRefused([from, specifier]: Case, form: (specifier: string) => string): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-imports-'));
  try {
    write(join(folder, from), form(specifier));
    write(join(folder, 'biome.json'), RULES);
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
    const args = [biome, 'lint', '--only=style/noRestrictedImports', '.'];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    assert.match(stderr, /Checked 2 files/);
    const refused = stderr.includes('lint/style/noRestrictedImports');
    assert.equal(status, refused ? 1 : 0, stderr);
    return refused;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

for (const one of WRONG) {
  test(`refused: ${one.join(' imports ')}`, () => assert.ok(isRefused(one, importNames)));
}

for (const one of RIGHT) {
  test(`allowed: ${one.join(' imports ')}`, () => assert.ok(!isRefused(one, importNames)));
}

test('no form of import gets around it', () => {
  const one: Case = ['sidecar/filters/retry.ts', '../listeners/relay.ts'];
  for (const form of [importNames, importTypes, reExport, importLater])
    assert.ok(isRefused(one, form), form.name);
});
