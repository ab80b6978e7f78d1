import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentedCommands } from './documented-commands.ts';

test('the blocks marked sh are the commands, in order, with their lines; output and others are not', () => {
  const page =
    '# A\n\n```sh\none\ntwo \\\n  three\n```\n\n```\nits output\n```\n\n```yaml\na: 1\n```\n\n```sh\nfour\n```\n';
  assert.deepEqual(documentedCommands(page), [
    { line: 3, text: 'one\ntwo \\\n  three\n' },
    { line: 17, text: 'four\n' },
  ]);
});

test('a page without commands is an error', () => {
  assert.throws(() => documentedCommands('# A\n\n`sh`\n'), /no block/);
});
