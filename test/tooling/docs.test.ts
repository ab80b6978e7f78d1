import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { commands } from '../../cli/commands.ts';
import { controlPlaneMetrics } from '../../control-plane/metrics.ts';
import { parseAnnotations } from '../../protocol/annotations/parse.ts';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import { TRAFFIC_FIELDS } from '../../protocol/traffic-policy.ts';
import { ROOT, read } from './repository.ts';

const PAGES = globSync('{*.md,docs/**/*.md,bench/*.md,test/**/*.md}', { cwd: ROOT }).sort();

interface Link {
  readonly page: string;
  readonly target: string;
}

/** Links to places in the repository; code is not looked at. */
function linksOf(page: string): Link[] {
  const prose = read(page)
    .replace(/^```.*?^```/gms, '')
    .replace(/`[^`]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => ({ page, target }));
}

/** The names by which GitHub links to a page's headings. */
function anchorsOf(page: string): string[] {
  const headings = read(page)
    .replace(/^```.*?^```/gms, '')
    .matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

const links = PAGES.flatMap(linksOf);

test('links in the documentation lead to files that exist', () => {
  assert.ok(links.length > 0);
  for (const { page, target } of links) {
    const [path = ''] = target.split('#', 1);
    assert.ok(existsSync(join(ROOT, dirname(page), path)), `${page} links to ${target}`);
  }
});

test('links to a heading lead to one that exists', () => {
  for (const { page, target } of links.filter((link) => link.target.includes('#'))) {
    const [path = '', anchor = ''] = target.split('#', 2);
    const linked = path === '' ? page : normalize(join(dirname(page), path));
    assert.ok(anchorsOf(linked).includes(anchor), `${page} links to ${target}`);
  }
});

test('every page of docs/ can be found from the README by its links', () => {
  const found = new Set<string>();
  const look = (page: string): void => {
    if (found.has(page) || !page.endsWith('.md')) return;
    found.add(page);
    for (const { target } of links.filter((link) => link.page === page)) {
      look(normalize(join(dirname(page), target.split('#', 1)[0] ?? '')));
    }
  };
  look('README.md');
  assert.deepEqual(
    PAGES.filter((page) => page.startsWith('docs/') && !found.has(page)),
    [],
  );
});

test('commands in the documentation are scripts that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const page of PAGES) {
    for (const [told, name = ''] of read(page).matchAll(/npm run ([a-z][a-z:-]*)/g)) {
      assert.ok(name in scripts, `${page}: ${told}`);
    }
  }
});

/** Annotations and fields of policies in a value, however deep, each mapping of them by itself. */
function policiesIn(value: unknown): Record<string, string>[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Object.entries(value).flatMap(([name, text]) => {
    const isField = TRAFFIC_FIELDS.some((field) => field === name);
    if (typeof text !== 'string' || !(isField || name.startsWith('tulle.dev/'))) return [];
    return [[isField ? `tulle.dev/${name}` : name, text]];
  });
  return [...(own.length > 0 ? [Object.fromEntries(own)] : []), ...Object.values(value).flatMap(policiesIn)];
}

test('examples are YAML, and their policies are right', () => {
  let policies = 0;
  for (const page of PAGES)
    for (const [, yaml = ''] of read(page).matchAll(/^```yaml\n(.*?)^```/gms))
      for (const document of parseAllDocuments(yaml)) {
        assert.deepEqual(document.errors, [], `${page}: ${yaml}`);
        for (const policy of policiesIn(document.toJS())) {
          assert.deepEqual(parseAnnotations(policy, DEFAULT_SETTINGS).problems, [], page);
          policies++;
        }
      }
  assert.ok(policies > 5);
});

/** Names of our metrics in a file; one like `tulle_worker_*` stands for several. */
function metricsIn(file: string): string[] {
  return [...new Set(read(file).match(/\b(?:istio|tulle)_[a-z0-9_]*[a-z0-9]\b/g))].sort();
}

test('the metrics of a data plane are told, and no others', () => {
  const known = ['sidecar/telemetry/metrics.ts', 'sidecar/workers/shared-view.ts'].flatMap(metricsIn);
  assert.deepEqual(metricsIn('docs/operations.md'), known.sort());
});

test('the metrics of a control plane are told, and no others', () => {
  const registry = controlPlaneMetrics(() => assert.fail('nobody scrapes'));
  const known = registry.getMetricsAsArray().map(({ name }) => name);
  assert.deepEqual(
    metricsIn('docs/kubernetes-control-plane.md'),
    known.filter((name) => name.startsWith('tulle_')).sort(),
  );
});

test('flags in the documentation are flags of the program, and each flag is in the documentation', () => {
  const program = commands();
  const shown = program.createHelp().visibleCommands(program);
  const flags = shown.flatMap(({ options }) => options.map(({ long }) => long ?? ''));
  for (const [told] of read('docs/operations.md').matchAll(/(?<=[\s`])--[a-z][a-z-]+/g)) {
    assert.ok(flags.includes(told), `docs/operations.md: ${told}`);
  }
  const told = PAGES.flatMap((page) => read(page).match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []);
  assert.deepEqual(
    flags.filter((flag) => !told.includes(flag)),
    [],
  );
});
