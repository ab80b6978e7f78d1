import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { injectManifests, uninjectManifests } from './manifests.ts';
import { CONFIG } from './pod.fixture.ts';

const inject = (text: string) => injectManifests(text, CONFIG);
const values = (text: string) =>
  (parseAllDocuments(text, { version: '1.1' }) as { toJS(): unknown }[]).map((document) => document.toJS());

const DEPLOYMENT = `# the shop's front
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      # the application
      containers:
        - name: web # as ever
          image: web:1
          ports:
            - name: http
              containerPort: 8080
          livenessProbe:
            tcpSocket:
              port: http
      volumes:
        - name: s
          secret:
            secretName: s
            defaultMode: 0640
`;

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web,   namespace: shop}   # odd   spacing
spec: {ports: [{port: 80}]}
`;

test('a pod template is injected where it stands; comments, octal modes and other documents stay', () => {
  const { text, notes } = inject(`${SERVICE}---\n${DEPLOYMENT}---\n${SERVICE}`);
  assert.ok(text.startsWith(`${SERVICE}---\n# the shop's front\n`));
  assert.ok(text.endsWith(`---\n${SERVICE}`));
  assert.match(text, /# the application\n/);
  assert.match(text, /- name: web # as ever\n/);
  assert.match(text, /defaultMode: 0640\n/);
  assert.match(text, /path: \/probe\/tcp\/8080\n/);
  assert.match(text, /initContainers:\n {8}- name: tulle-capture\n/);
  assert.deepEqual(notes, [{ object: 'Deployment shop/web', said: 'injected', isError: false }]);
});

test('inject, then uninject: the text as it was', () => {
  const whole = `${SERVICE}---\n${DEPLOYMENT}`;
  assert.equal(uninjectManifests(inject(whole).text).text, whole);
});

test('injected manifests are injected already', () => {
  const { text } = inject(DEPLOYMENT);
  assert.equal(inject(text).text, text);
});

test('every kind that has a pod template, and Lists of them', () => {
  const spec = 'spec: { containers: [{ name: a, image: a, livenessProbe: { tcpSocket: { port: 1 } } }] }';
  const kinds: Record<string, string> = {
    Pod: spec,
    Deployment: `spec: { template: { ${spec} } }`,
    StatefulSet: `spec: { template: { ${spec} } }`,
    DaemonSet: `spec: { template: { ${spec} } }`,
    ReplicaSet: `spec: { template: { ${spec} } }`,
    Job: `spec: { template: { ${spec} } }`,
    CronJob: `spec: { jobTemplate: { spec: { template: { ${spec} } } } }`,
    List: `items: [{ kind: Service, metadata: { name: s } }, { kind: Pod, metadata: { name: b }, ${spec} }, { kind: PodList, items: [{ kind: Pod, ${spec} }] }]`,
  };
  for (const [kind, rest] of Object.entries(kinds)) {
    const text = `kind: ${kind}\nmetadata: { name: a }\n${rest}\n`;
    const { text: out, notes } = inject(text);
    assert.ok(notes.length > 0 && notes.every(({ said }) => said === 'injected'), kind);
    assert.equal(out.match(/name: tulle-proxy/g)?.length, kind === 'List' ? 2 : 1, kind);
    assert.deepEqual(values(uninjectManifests(out).text), values(text), kind);
  }
});

test('what has no pod, or is no object, stays as it is to the byte', () => {
  for (const text of [
    '',
    '\n',
    '# nothing\n',
    '---\n---\n',
    'a\n',
    '- 1\n',
    'kind: Deployment\n',
    'kind: [x]\n',
    'kind: Pod\nspec: {containers: x}\n',
    'kind: constructor\n',
    '{"kind":"Service"}',
  ])
    assert.deepEqual(inject(text), { text, notes: [] }, JSON.stringify(text));
});

test('a pod that says no, and one in the network of its node, stay; a reserved name is an error', () => {
  const pod = (metadata: string, more = '') =>
    `kind: Pod\nmetadata: { name: a${metadata} }\nspec: { ${more}containers: [{ name: a }] }\n`;
  const out = (text: string) => inject(text).notes.map(({ said, isError }) => [said, isError]);
  assert.match(
    String(out(pod(', labels: { tulle.dev/inject: disabled }'))),
    /^skipped: the pod has the label/,
  );
  assert.match(String(out(pod('', 'hostNetwork: true, '))), /^skipped: the pod has the network of its node/);
  assert.match(
    String(out(pod(', namespace: kube-system'))),
    /^skipped: namespace kube-system is never injected/,
  );
  const foreign = 'kind: Pod\nspec: { containers: [{ name: tulle-proxy }] }\n';
  assert.equal(inject(foreign).text, foreign);
  assert.match(String(out(foreign)), /^refused: the container name tulle-proxy is kept.*true$/);
});

test('warnings are told with the object that they are about', () => {
  const text =
    'kind: Pod\nmetadata: { name: a, annotations: { tulle.dev/proxy-workers: "0" } }\nspec: { containers: [{ name: a }] }\n';
  const { notes } = inject(text);
  assert.match(notes[1]?.said ?? '', /^warning: annotations.tulle.dev\/proxy-workers: "0" is not a number/);
});

test('aliases are written out, so that what is injected in one place does not appear in another', () => {
  const text = `kind: List
items:
  - kind: ConfigMap
    data: &labels { app: web }
  - kind: Pod
    metadata: { labels: *labels }
    spec: { containers: [{ name: a }] }
`;
  const [list] = values(inject(text).text) as [{ items: { data?: object; metadata?: { labels: object } }[] }];
  assert.deepEqual(list.items[0]?.data, { app: 'web' });
  assert.deepEqual(list.items[1]?.metadata?.labels, { app: 'web', 'tulle.dev/proxy': 'enabled' });
});

test('JSON is YAML too', () => {
  const text = JSON.stringify({
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: { containers: [{ name: 'a' }] },
  });
  assert.match(inject(text).text, /tulle-proxy/);
});

test('what is no YAML is told, and an expanding bomb of aliases is not expanded', () => {
  assert.throws(() => inject('a: [\n'), /^Error: this is not YAML: /);
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
    .split('')
    .map((key, index) => `${key}: &${key} [${Array(10).fill(`*${'abcdefg'[index]}`).join(',')}]\n`)
    .join('')}`;
  assert.throws(() => inject(`kind: Pod\n${bomb}`), /alias/);
});
