import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  parseCoreTicks,
  parseSchedstat,
  parseStat,
  processesOfGroup,
  readThreadTimes,
  timeBetween,
} from './cpu.ts';

test('schedstat: the first number is the time on a cpu', () => {
  assert.equal(parseSchedstat('412345678 9912 77\n'), 412345678);
  assert.throws(() => parseSchedstat(''), /not a schedstat line/);
});

test('stat: the group is found behind a name that holds spaces and brackets', () => {
  assert.deepEqual(parseStat('6171 (nginx: (master) x) S 1 6170 6170 0 -1 99'), {
    group: 6170,
    ended: false,
  });
  assert.deepEqual(parseStat('6172 (sh) Z 1 6170 6170 0 -1 99'), { group: 6170, ended: true });
  assert.throws(() => parseStat('nonsense'), /not a stat line/);
});

test('this process is found in its group, with the time of all its threads', () => {
  const { group } = parseStat(readFileSync('/proc/self/stat', 'utf8'));
  assert.ok(processesOfGroup(group).includes(process.pid));
  const times = readThreadTimes([process.pid]);
  assert.ok((times.get(`${process.pid}/${process.pid}`) ?? 0) > 0);
  assert.ok(times.size > 1, 'node runs worker threads');
});

test('time between two readings counts a thread that was born and refuses one that died', () => {
  const before = new Map([['1/1', 100]]);
  const after = new Map([
    ['1/1', 150],
    ['1/2', 30],
  ]);
  assert.equal(timeBetween(before, after), 80);
  assert.throws(() => timeBetween(after, before), /thread 1\/2 ended/);
});

test('/proc/stat: idle and iowait are not busy, stolen time is, guest time counts once', () => {
  const stat = 'cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 1 0 0 9 0 0 0 0 0 0\ncpu1 10 1 20 500 7 2 3 4 9 9\nintr 5\n';
  assert.deepEqual(parseCoreTicks(stat, 1), { busy: 40, total: 547 });
  assert.throws(() => parseCoreTicks(stat, 7), /no cpu7/);
});
