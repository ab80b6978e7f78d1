import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSidecarFlags, SIDECAR_FLAGS } from './sidecar-flags.ts';

test('flags that are not given have what the help says', () => {
  const initial = SIDECAR_FLAGS.filter((flag) => flag.initial !== undefined);
  assert.ok(initial.length > 0);
  assert.deepEqual(
    { ...parseSidecarFlags([]) },
    Object.fromEntries(initial.map((flag) => [flag.name, flag.initial])),
  );
});

test('flags with one value, with several, and without', () => {
  const flags = parseSidecarFlags([
    '--standalone=mesh.yaml',
    '--outbound',
    '127.0.0.1:4140',
    '--control-plane',
    'a:1',
    '--control-plane',
    'b:2',
    '--access-log',
    '--drain',
    '3s',
  ]);
  assert.equal(flags.standalone, 'mesh.yaml');
  assert.equal(flags.outbound, '127.0.0.1:4140');
  assert.deepEqual(flags['control-plane'], ['a:1', 'b:2']);
  assert.equal(flags['access-log'], true);
  assert.equal(flags.drain, '3s');
});

test('what is no flag, has no value or stands alone is named', () => {
  assert.throws(() => parseSidecarFlags(['--outbund', 'a:1']), /--outbund/);
  assert.throws(() => parseSidecarFlags(['--outbound']), /--outbound/);
  assert.throws(() => parseSidecarFlags(['--outbound', '--access-log']), /--outbound/);
  assert.throws(() => parseSidecarFlags(['--access-log=no']), /--access-log/);
  assert.throws(() => parseSidecarFlags(['mesh.yaml']), /mesh\.yaml/);
  assert.throws(() => parseSidecarFlags(['--__proto__', 'x']), /__proto__/);
});

test('each flag has one name and a description', () => {
  const names = SIDECAR_FLAGS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, description, argument, initial } of SIDECAR_FLAGS) {
    assert.match(name, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(description.length > 10, name);
    assert.ok(initial === undefined || argument !== undefined, name);
  }
});
