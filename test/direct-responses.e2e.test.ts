import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering } from './fixture/backend.ts';
import { bothRoute, edgeMesh, trafficPolicy, twoWays } from './fixture/two-ways.ts';
import { answerOk, rawGrpcServer } from './grpc/raw-server.ts';

const rule = (sectionName: string, fields: object) =>
  trafficPolicy(sectionName, { kind: 'HTTPRoute', name: 'app', sectionName }, fields);

const PAGE = `503
Retry-After: 120
Content-Type: text/html; charset=utf-8

<h1>Schön, gleich zurück</h1>
`;

test('a direct response has the status, headers and body of its policy, and no server is asked', async (context) => {
  const app = await answering();
  context.after(() => app.close());
  let calls = 0;
  const grpc = await rawGrpcServer(context, (stream) => {
    calls++;
    answerOk(stream);
  });
  const named = (name: string) => ({ name, matches: [{ path: { value: `/${name}` } }] });
  const { ways, call, explain, metric } = await twoWays(
    context,
    edgeMesh(
      {
        app: { protocol: 'http', endpoints: [app.address] },
        calls: { protocol: 'grpc', endpoints: [grpc] },
        closed: {
          protocol: 'http',
          endpoints: [app.address],
          annotations: { 'tulle.dev/direct-response': '410 gone for good' },
        },
      },
      {
        routes: [
          bothRoute('HTTPRoute', 'app', 'app', [
            named('page'),
            named('nothing'),
            { backendRefs: [{ name: 'app' }] },
          ]),
          bothRoute('GRPCRoute', 'calls', 'calls', [
            {
              name: 'one',
              matches: [{ method: { service: 'a.B', method: 'One' } }],
              backendRefs: [{ name: 'calls' }],
            },
            {
              name: 'two',
              matches: [{ method: { service: 'a.B', method: 'Two' } }],
              backendRefs: [{ name: 'calls' }],
            },
            { backendRefs: [{ name: 'calls' }] },
          ]),
        ],
        policies: [
          rule('page', { 'direct-response': PAGE }),
          rule('nothing', { 'direct-response': '204' }),
          trafficPolicy(
            'one',
            { kind: 'GRPCRoute', name: 'calls', sectionName: 'one' },
            { 'direct-response': 'resource-exhausted Zurück um zehn' },
          ),
          trafficPolicy(
            'two',
            { kind: 'GRPCRoute', name: 'calls', sectionName: 'two' },
            { 'direct-response': '503\ncontent-type: text/html\n\nBack at ten' },
          ),
        ],
      },
    ),
  );
  for (const { name, ask } of ways) {
    for (const [method, sent] of [
      ['GET', ''],
      ['HEAD', ''],
      ['POST', 'a body that nobody reads'],
    ] as const) {
      const { status, headers, body } = await ask('/page?a', {}, method, sent === '' ? undefined : sent);
      const told = [status, headers['retry-after'], headers['content-type'], headers['tulle-reason']];
      assert.deepEqual(told, [503, '120', 'text/html; charset=utf-8', 'direct-response'], name);
      assert.equal(body, method === 'HEAD' ? '' : '<h1>Schön, gleich zurück</h1>\n', name);
      assert.equal(headers['content-length'], '32', name);
      const { detail, attempts } = await explain(String(headers['x-request-id']));
      assert.deepEqual([detail, attempts], ['HTTPRoute t/app rule 1: path prefix /page', []]);
    }
    const nothing = await ask('/nothing');
    assert.deepEqual(
      [nothing.status, nothing.body, nothing.headers['content-length']],
      [204, '', undefined],
      name,
    );
    assert.equal(app.received, '', name);
  }
  for (const { ask } of ways) assert.equal((await ask('/other')).body, 'you asked for /other');
  const [{ ask } = assert.fail()] = ways;
  const closed = await ask('/', { host: 'closed.t' });
  assert.deepEqual([closed.status, closed.body], [410, 'gone for good']);
  for (const answer of await call('/a.B/One'))
    assert.deepEqual(answer, ['8', 'Zurück um zehn', 'direct-response']);
  for (const answer of await call('/a.B/Two'))
    assert.deepEqual(answer, ['14', 'Back at ten', 'direct-response']);
  assert.equal(calls, 0);
  for (const [status] of await call('/a.B/Three')) assert.equal(status, '0');
  assert.equal(await metric('tulle_local_responses_total', 'reason="direct-response"'), 4 * 4 + 1 + 4);
});
