import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { until } from '../test/fixture/wait.ts';
import { reviewOf } from './review.fixture.ts';
import { issueServingCertificate, type ServingCertificate } from './serving-certificate.ts';
import { openWebhook, type Reviews, type Webhook } from './webhook.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };

interface Opened {
  readonly webhook: Webhook;
  readonly certificate: ServingCertificate;
}

async function open(
  t: TestContext,
  reviews: Reviews = { '/inject': async () => ({ allowed: true }) },
): Promise<Opened> {
  const certificate = await issueServingCertificate(['127.0.0.1'], 3_600_000);
  const webhook = await openWebhook(LOCAL, certificate, reviews);
  t.after(() => webhook.close().catch(() => {}));
  return { webhook, certificate };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

async function call(
  { webhook, certificate }: Opened,
  body: string | Buffer,
  options: RequestOptions = {},
): Promise<Answer> {
  const [host = '', port = ''] = webhook.address.split(':');
  const outgoing = request({
    host,
    port: Number(port),
    path: '/inject?timeout=5s',
    method: 'POST',
    ca: certificate.certificatePem,
    agent: false,
    headers: { 'content-type': 'application/json' },
    ...options,
  });
  outgoing.on('error', () => {}); // the answer is looked at, however the rest of the body fares
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

const review = JSON.stringify(reviewOf({ metadata: { name: 'a' } }));

test('an AdmissionReview is answered with the verdict, by its uid', async (t) => {
  const opened = await open(t, {
    '/inject': async ({ object }) => ({ allowed: true, warnings: [`saw ${object?.metadata?.name}`] }),
  });
  const { status, headers, text } = await call(opened, review);
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(text), {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true, warnings: ['saw a'] },
  });
});

test('who keeps a connection is told to come by another one, before it is closed', async (t) => {
  const opened = await open(t);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  assert.notEqual((await call(opened, review, { agent })).headers.connection, 'close');
  opened.webhook.leave();
  const { status, headers } = await call(opened, review, { agent });
  assert.deepEqual([status, headers.connection], [200, 'close']);
});

test('a review that fails is a denial that says why: no pod passes unjudged', async (t) => {
  const opened = await open(t, { '/inject': () => Promise.reject(new Error('cannot think')) });
  const { status, text } = await call(opened, review);
  assert.equal(status, 200);
  const { response } = JSON.parse(text) as { response: unknown };
  assert.deepEqual(response, {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: false,
    status: { code: 500, message: 'tulle injector: cannot think' },
  });
});

test('what is no AdmissionReview gets an HTTP answer that says what is wrong', async (t) => {
  const opened = await open(t);
  const cases: [string, RequestOptions, number, RegExp][] = [
    [review, { path: '/' }, 404, /there are \/inject/],
    [review, { path: '/__proto__' }, 404, /there are/],
    [review, { path: '/constructor' }, 404, /there are/],
    ['', { method: 'GET' }, 405, /POST an AdmissionReview/],
    [review, { headers: { 'content-type': 'text/plain' } }, 415, /as application\/json/],
    [review, { headers: {} }, 415, /as application\/json/],
    ['', {}, 400, /the body is not JSON/],
    ['{"kind":', {}, 400, /the body is not JSON/],
    ['{}', {}, 400, /is not an AdmissionReview/],
    ['[[[[', {}, 400, /is not JSON/],
    ['['.repeat(100_000), {}, 400, /is not JSON/],
    [review.replace('"metadata":', '"metadata":1,"x":'), {}, 400, /request.object.metadata/],
  ];
  for (const [body, options, code, pattern] of cases) {
    const { status, text, headers } = await call(opened, body, options);
    assert.equal(status, code, text);
    assert.match(text, pattern);
    assert.equal(headers.connection, 'close');
    if (code === 405) assert.equal(headers.allow, 'POST');
  }
  assert.equal((await call(opened, review)).status, 200, 'it serves on');
});

test('a body that would fill the memory is refused, told by its length or not', async (t) => {
  const opened = await open(t);
  const large = Buffer.alloc(9 * 1024 * 1024, 0x20);
  const told = await call(opened, large);
  assert.equal(told.status, 413);
  const untold = await call(opened, large, {
    headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  });
  assert.equal(untold.status, 413);
  assert.match(untold.text, /more than 8388608 bytes/);
});

test('many large bodies at once, of strangers that never end them, fill no memory and keep nobody out', async (t) => {
  const opened = await open(t);
  const [host = '', port = ''] = opened.webhook.address.split(':');
  const head =
    'POST /inject HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n';
  const answers: string[] = [];
  const padded = `${review}${' '.repeat(4_000_000)}`;
  const sockets = Array.from({ length: 6 }, () => {
    const socket = connect({ host, port: Number(port), ca: opened.certificate.certificatePem });
    socket.on('data', (data) => answers.push(data.toString()));
    socket.on('error', () => {}); // what is left of a body that was refused meets a closed connection
    socket.write(head);
    socket.write(Buffer.alloc(7_999_999, 0x20));
    return socket;
  });
  await until('a refusal', () => answers.length > 0);
  // They hold on to what they have: the API server is answered all the same.
  for (let at = 0; at < 3; at++) assert.equal((await call(opened, padded)).status, 200);
  assert.match(answers.join(''), /^HTTP\/1.1 503 .*too many large bodies at once/s);
  for (const socket of sockets) socket.destroy();
  await until('the others to be forgotten', async () => (await call(opened, review)).status === 200);
});

test('who speaks no TLS, or only an old one, gets nothing and stops nobody', async (t) => {
  const opened = await open(t);
  const [host = '', port = ''] = opened.webhook.address.split(':');
  const plain = httpRequest({ host, port: Number(port), method: 'POST' });
  plain.end(review);
  await assert.rejects(once(plain, 'response'));
  const old = connect({
    host,
    port: Number(port),
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    rejectUnauthorized: false,
  });
  await assert.rejects(once(old, 'secureConnect'));
  assert.equal((await call(opened, review)).status, 200);
});

test('a client that leaves in the middle of its body stops nobody', async (t) => {
  const opened = await open(t);
  const [host = '', port = ''] = opened.webhook.address.split(':');
  const socket = connect({ host, port: Number(port), ca: opened.certificate.certificatePem });
  await once(socket, 'secureConnect');
  socket.end(
    'POST /inject HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
  );
  socket.resume();
  await once(socket, 'close');
  assert.equal((await call(opened, review)).status, 200);
});

test('new connections get the new certificate, and the old ones go on', async (t) => {
  const opened = await open(t);
  const next = await issueServingCertificate(['127.0.0.1'], 3_600_000);
  opened.webhook.serve(next);
  await assert.rejects(call(opened, review), /certificate/);
  assert.equal((await call({ ...opened, certificate: next }, review)).status, 200);
});

test('a request that is being answered is answered when the webhook stops', async (t) => {
  const answer = Promise.withResolvers<{ allowed: true }>();
  let asked = false;
  const opened = await open(t, {
    '/inject': () => {
      asked = true;
      return answer.promise;
    },
  });
  const called = call(opened, review);
  await until('the review', () => asked);
  const closed = opened.webhook.close();
  answer.resolve({ allowed: true });
  assert.equal((await called).status, 200);
  await closed;
});
