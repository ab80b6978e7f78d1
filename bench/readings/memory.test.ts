import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSmapsRollup, readMemory } from './memory.ts';

const rollup = `56541b1e0000-7ffc75def000 ---p 00000000 00:00 0                          [rollup]
Rss:                1732 kB
Pss:                 314 kB
Pss_Anon:            112 kB
Shared_Clean:       1580 kB
Shared_Dirty:          0 kB
Private_Clean:        40 kB
Private_Dirty:       112 kB
Private_Hugetlb:       8 kB
Swap:                  0 kB
`;

test('smaps_rollup: the unique set is all Private_ lines, the resident set the Rss line', () => {
  assert.deepEqual(parseSmapsRollup(rollup), { rss: 1732 * 1024, uss: 160 * 1024 });
});

test('smaps_rollup: the empty file of a process that just ended is not taken for 0 bytes', () => {
  assert.throws(() => parseSmapsRollup(''), /without an Rss line/);
});

test('the running process has more resident than unique memory, and two readings add up', () => {
  const once = readMemory([process.pid]);
  const twice = readMemory([process.pid, process.pid]);
  assert.ok(once.rss >= once.uss && once.uss > 0);
  assert.ok(twice.rss > once.rss);
});
