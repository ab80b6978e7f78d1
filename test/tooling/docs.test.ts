import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { ROOT, read } from './repository.ts';

const PAGES = globSync('{*.md,docs/**/*.md,bench/*.md}', { cwd: ROOT }).sort();

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

test('flags in the documentation are flags of the program', async () => {
  const { commands } = await import('../../cli/commands.ts');
  const known = new Set(commands().commands.flatMap((command) => command.options.map(({ long }) => long)));
  for (const [told] of read('docs/operations.md').matchAll(/(?<=[\s`])--[a-z][a-z-]+/g)) {
    assert.ok(known.has(told), `docs/operations.md: ${told}`);
  }
});
