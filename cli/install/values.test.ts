import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlay, setValues } from './values.ts';

test('maps are merged, lists and texts replaced, and null takes a default away', () => {
  assert.deepEqual(overlay({ a: { b: 1, c: 2 }, l: [1, 2], d: 1 }, { a: { c: 3 }, l: [3], d: null }), {
    a: { b: 1, c: 3 },
    l: [3],
  });
  assert.deepEqual(overlay({ a: 'text' }, { a: { b: 1 } }), { a: { b: 1 } });
});

test('an assignment sets what its path leads to', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['a=1', { a: 1 }],
    ['a.b=x,a.c=true', { a: { b: 'x', c: true } }],
    ['a=', { a: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=null', { a: null }],
    ['a={x,1,false}', { a: ['x', 1, false] }],
    ['a[1].b=x', { a: [null, { b: 'x' }] }],
    ['a[0][1]=x', { a: [[null, 'x']] }],
    ['a\\.b/c=x\\,y', { 'a.b/c': 'x,y' }],
    ['a=007,b=-3,c=1.5', { a: '007', b: -3, c: '1.5' }],
  ];
  for (const [assignment, values] of cases) assert.deepEqual(setValues({}, assignment), values, assignment);
  assert.deepEqual(setValues({ a: [{ b: 1 }, 2] }, 'a[0].c=3'), { a: [{ b: 1, c: 3 }, 2] });
});

test('what sets nothing is refused', () => {
  for (const wrong of ['a', '=1', '', 'a..b=1', 'a[x]=1', '[0]=1'])
    assert.throws(() => setValues({}, wrong), /--set/, wrong);
});

test('a name cannot reach the prototype of all objects', () => {
  assert.throws(() => setValues({}, '__proto__.polluted=1'), /has no name that can be set/);
  const values = setValues({}, 'constructor.prototype.polluted=1');
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.ok(Object.hasOwn(values, 'constructor'));
});

test('a very long list cannot be asked for by one item', () => {
  assert.throws(() => setValues({}, 'a[4000000000]=1'), /has no name that can be set/);
});
