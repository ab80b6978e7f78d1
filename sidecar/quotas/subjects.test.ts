import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OTHERS, Subjects } from './subjects.ts';

class Kept {
  usedMs = 0;
  forgotten = false;
  readonly subject: string;

  constructor(subject: string) {
    this.subject = subject;
  }

  mayBeForgotten(): boolean {
    return true;
  }

  forget(): void {
    this.forgotten = true;
  }
}

const subjects = () => new Subjects((subject) => new Kept(subject), 100);

test('an attacker who sends new names again and again is counted as one, and pushes nobody out', () => {
  const kept = subjects();
  const honest = kept.get('web', 0);
  for (let name = 0; name < 10_000; name++) kept.get(`new-${name}`, 0);
  assert.equal(kept.size, 100);
  assert.equal(kept.get('web', 1), honest);
  const more = kept.get('yet another', 1);
  assert.equal(more.subject, OTHERS);
  assert.ok(kept.isOthers(more));
  assert.equal(kept.get('and another', 1), more);
});

test('those who do not come any more make room', () => {
  const kept = subjects();
  for (let name = 0; name < 100; name++) kept.get(`old-${name}`, 0);
  const old = kept.get('old-0', 0);
  assert.equal(kept.get('new', 20_000).subject, 'new');
  assert.equal(kept.size, 100);
  assert.ok(old.forgotten);
});

test('who is still needed is not forgotten, not even when there is no room', () => {
  class Needed extends Kept {
    override mayBeForgotten(): boolean {
      return false;
    }
  }
  const kept = new Subjects((subject) => new Needed(subject), 3);
  for (const name of ['a', 'b', 'c']) kept.get(name, 0);
  assert.equal(kept.get('d', 1e9).subject, OTHERS);
  kept.dropIdle(1e9);
  assert.equal(kept.size, 3);
});

test('who was not used for long is forgotten', () => {
  const kept = subjects();
  const [one, other] = [kept.get('one', 0), kept.get('other', 0)];
  other.usedMs = 50_000;
  kept.dropIdle(70_000);
  assert.equal(kept.size, 1);
  assert.deepEqual([one.forgotten, other.forgotten], [true, false]);
});
