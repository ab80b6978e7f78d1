import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReview, reviewAnswer } from './admission-review.ts';
import { reviewOf } from './review.fixture.ts';

const reading = (value: unknown) => () => readReview(JSON.stringify(value));

test('a request is read, whatever else it has', () => {
  const { uid, namespace, object } = reading(reviewOf({ metadata: { name: 'a', labels: null } }))();
  assert.equal(uid, '705ab4f5-6393-11e8-b7cc-42010a800002');
  assert.equal(namespace, 'shop');
  assert.equal(object?.metadata?.name, 'a');
});

test('what is no AdmissionReview is told with the field that is wrong', () => {
  assert.throws(() => readReview('{'), /the body is not JSON/);
  assert.throws(reading(null), /is not an AdmissionReview of admission.k8s.io\/v1: it: /);
  assert.throws(reading([]), /it: /);
  assert.throws(reading({ ...reviewOf({}), apiVersion: 'admission.k8s.io/v1beta1' }), /: apiVersion: /);
  assert.throws(reading({ ...reviewOf({}), request: undefined }), /: request: /);
  assert.throws(reading(reviewOf({}, { uid: '' })), /: request.uid: /);
  assert.throws(reading(reviewOf({}, { uid: 'x'.repeat(300) })), /: request.uid: /);
  assert.throws(reading(reviewOf({}, { kind: 'Pod' })), /: request.kind: /);
  assert.throws(reading(reviewOf('a pod')), /: request.object: /);
  assert.throws(
    reading(reviewOf({ metadata: { annotations: { a: 1 } } })),
    /: request.object.metadata.annotations.a: /,
  );
  assert.throws(reading(reviewOf({ metadata: { labels: ['x'] } })), /: request.object.metadata.labels: /);
});

const responseOf = (answer: object) => (answer as { response: Record<string, unknown> }).response;

test('a patch is told in base64, and none if there is nothing to change', () => {
  const patch = [{ op: 'add' as const, path: '/a', value: 'ä' }];
  const response = responseOf(reviewAnswer('u', { allowed: true, patch }));
  assert.equal(response.uid, 'u');
  assert.equal(response.patchType, 'JSONPatch');
  assert.deepEqual(JSON.parse(Buffer.from(String(response.patch), 'base64').toString()), patch);
  assert.deepEqual(responseOf(reviewAnswer('u', { allowed: true, patch: [] })), { uid: 'u', allowed: true });
});

test('a denial has its code and its sentence', () => {
  assert.deepEqual(responseOf(reviewAnswer('u', { allowed: false, code: 422, message: 'no' })), {
    uid: 'u',
    allowed: false,
    status: { code: 422, message: 'no' },
  });
});

test('warnings are cut to what API servers pass on', () => {
  const warnings = ['a', 'b'.repeat(1000), ...Array<string>(100).fill('c'.repeat(200))];
  const said = responseOf(reviewAnswer('u', { allowed: true, warnings })).warnings as string[];
  assert.equal(said[0], 'a');
  assert.equal(said[1]?.length, 256);
  assert.ok(said.join('').length <= 4096);
});
