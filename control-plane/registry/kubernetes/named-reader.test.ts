import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ListenerCertificate } from '../../../protocol/gateway.ts';
import { until } from '../../../test/fixture/wait.ts';
import type { ApiSession } from './api-session.ts';
import type { SecretState } from './listener-certificates.ts';
import { SECRETS } from './listener-certificates.ts';
import { NamedReader } from './named-reader.ts';

interface Read {
  readonly reader: NamedReader<ListenerCertificate>;
  readonly states: Map<string, SecretState>;
  readonly asked: string[];
  /** How many questions came before each session. */
  readonly sessions: number[];
  /** What is answered for a path; 0: no answer. */
  answer: { status: number; body?: object };
  answerTo(path: string): Read['answer'];
}

const log = { debug() {}, info() {}, warn() {}, error() {} };
const BAD = { status: 200, body: { type: 'Opaque' } };

function opened(context: TestContext, rereadMs = 60_000): Read {
  const states = new Map<string, SecretState>();
  const asked: string[] = [];
  const sessions: number[] = [];
  const session: ApiSession = {
    async get(path) {
      asked.push(path);
      const { status, body } = read.answerTo(path);
      if (status === 0) throw new Error('it is away');
      const response = { statusCode: status, body: { json: async () => body } };
      return response as unknown as Awaited<ReturnType<ApiSession['get']>>; // all that is looked at
    },
    close() {},
  };
  const open = async () => {
    sessions.push(asked.length);
    return session;
  };
  const sink = (key: string, state: SecretState) =>
    void (state === undefined ? states.delete(key) : states.set(key, state));
  const read: Read = {
    reader: new NamedReader(SECRETS, open, sink, log, rereadMs),
    states,
    asked,
    sessions,
    answer: { status: 404 },
    answerTo: () => read.answer,
  };
  context.after(() => read.reader.close());
  return read;
}

test('only what is wanted is read, by its name', async (context) => {
  const { reader, states, asked } = opened(context);
  reader.want(new Set(['edge/web', 'vault/web']));
  await reader.first(5_000);
  assert.deepEqual(asked, ['/api/v1/namespaces/edge/secrets/web', '/api/v1/namespaces/vault/secrets/web']);
  assert.deepEqual(states.get('edge/web'), { wrong: 'does not exist' });
  reader.want(new Set(['edge/web']));
  assert.deepEqual([...states.keys()], ['edge/web']);
  assert.equal(asked.length, 2, 'what is known is not read again at once');
});

test('what may not be read says how that is mended', async (context) => {
  const read = opened(context);
  read.answer = { status: 403 };
  read.reader.want(new Set(['edge/web']));
  await read.reader.first(5_000);
  assert.match(JSON.stringify(read.states.get('edge/web')), /readSecrets/);
});

test('it is read again and again; while nothing is answered, what was read stays', async (context) => {
  const read = opened(context, 30);
  read.answer = BAD;
  read.reader.want(new Set(['edge/web']));
  await read.reader.first(5_000);
  const before = read.states.get('edge/web');
  read.answer = { status: 0 };
  const asked = read.asked.length;
  await until('two more questions', () => read.asked.length >= asked + 2);
  assert.equal(read.states.get('edge/web'), before);
  read.answer = { status: 500 };
  const again = read.asked.length;
  await until('two more questions', () => read.asked.length >= again + 2);
  assert.equal(read.states.get('edge/web'), before);
  read.answer = { status: 404 };
  await until('its end', () => JSON.stringify(read.states.get('edge/web')).includes('does not exist'));
});

test('a start waits no longer than it is told for a Secret that nobody answers for', async (context) => {
  const read = opened(context, 30);
  read.answer = { status: 0 };
  read.reader.want(new Set(['edge/web']));
  await read.reader.first(100);
  assert.equal(read.states.size, 0);
});

test('x another answer of the API server', async (context) => {
  const { reader, states, asked } = opened(context);
  // Names in references are checked for their length alone (Gateway API, ObjectName), and URLs take \ for /.
  const names = [
    '..\\..\\vault\\secrets\\web',
    '../../vault/secrets/web',
    '..',
    '.',
    'web?watch=true',
    'web#',
    '',
    'Web',
    '%2e%2e',
  ];
  reader.want(new Set(names.map((name) => `edge/${name}`)));
  await reader.first(5_000);
  assert.deepEqual(asked, []);
  for (const name of names)
    assert.match(JSON.stringify(states.get(`edge/${name}`)), /has a name that no object can have/, name);
});

test('a tenant who names thousands of Secrets that do not exist does not keep the API server busy, and all are looked at in turn', async (context) => {
  const { reader, asked, sessions } = opened(context, 60);
  reader.want(new Set(Array.from({ length: 250 }, (_, at) => `edge/s${at}`)));
  await until('three more looks', () => sessions.length >= 5);
  assert.deepEqual(sessions.slice(0, 5), [0, 250, 350, 450, 550]);
  assert.equal(new Set(asked.slice(250, 550)).size, 250);
});

test('Secrets that the API server cannot answer for do not stand before those that it can', async (context) => {
  const read = opened(context, 30);
  read.answerTo = (path) => (/bad/.test(path) ? { status: 500 } : { status: 404 });
  const bad = Array.from({ length: 20 }, (_, at) => `evil/bad${at}`);
  read.reader.want(new Set([...bad, 'edge/web']));
  await until('the other one', () => read.states.has('edge/web'));
});
