import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { issueFiles } from '../../control-plane/authority/issue-files.ts';
import { temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { startHttp1 } from '../http2/server.ts';
import { caller } from './http1-servers.ts';

const LIMIT = { timeout: 300_000 };
const DEPTH = 4;

/** Services `hop1` to `hop4`, each behind a sidecar process of its own, each calling the next for each request. */
interface Chain {
  /** Calls hop1 through a caller's sidecar. */
  readonly call: ReturnType<typeof caller>;
  /** What came to each application since `reset`; hop 1 first. */
  readonly seen: IncomingHttpHeaders[][];
  reset(): void;
  /** Answers instead of hop `hop`, from 1; true when it did. */
  onHop: (hop: number, response: ServerResponse) => boolean;
  /** Whether applications hand on the request id, as meshes ask them to. */
  handsOnIds: boolean;
}

async function chain(context: TestContext): Promise<Chain> {
  const dir = temporaryDir(context);
  const seen: IncomingHttpHeaders[][] = Array.from({ length: DEPTH }, () => []);
  const outbound: string[] = [];
  const state: Chain = {
    call: () => Promise.reject(new Error('it is not running yet')),
    seen,
    reset() {
      for (const one of seen) one.length = 0;
    },
    onHop: () => false,
    handsOnIds: false,
  };
  const sidecar = async (hop: number, next: string | undefined, ...more: string[]) => {
    const name = `hop${hop}`;
    const { cert, key, bundle } = await issueFiles(join(dir, 'ca'), 'mesh.local', `shop/${name}`);
    const annotations = { 'tulle.dev/retries': '2 on 503 backoff 1ms..5ms' };
    const below = {
      ...{ name: `hop${hop + 1}`, namespace: 'shop', port: 80, annotations },
      endpoints: next === undefined ? [] : [{ address: next, identity: `shop/hop${hop + 1}` }],
    };
    const file = join(dir, `${name}.yaml`);
    writeMesh(file, { services: [{ name, namespace: 'shop', port: 80 }, below] });
    const flags = [
      '--standalone',
      file,
      '--identity',
      `${cert},${key},${bundle}`,
      '--outbound',
      '127.0.0.1:0',
    ];
    return (await startTulle(context, 'sidecar', ...flags, ...more)).ready;
  };
  const serve = async (hop: number, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    seen[hop - 1]?.push(request.headers);
    if (state.onHop(hop, response)) return;
    if (hop === DEPTH) {
      response.end('fine');
      return;
    }
    const id = state.handsOnIds ? String(request.headers['x-request-id']) : undefined;
    const got = await caller(context, outbound[hop] ?? '')(id, { headers: { host: `hop${hop + 1}.shop` } });
    response.writeHead(got.status).end(got.body);
  };
  let next: string | undefined;
  for (let hop = DEPTH; hop >= 1; hop--) {
    const { address } = await startHttp1(context, (request, response) => void serve(hop, request, response));
    const ready = await sidecar(
      hop,
      next,
      '--inbound',
      '127.0.0.1:0',
      '--workload',
      `shop/hop${hop}=${address}`,
    );
    outbound[hop] = ready.outbound ?? '';
    next = ready.inbound;
  }
  const top = await sidecar(0, next, '--workload', 'shop/hop0=127.0.0.1:1');
  return Object.assign(state, { call: caller(context, top.outbound ?? '') });
}

const HOST = { host: 'hop1.shop' };

test(
  'in a chain of sidecars a failure is retried by the hop next to it, and by no other',
  LIMIT,
  async (context) => {
    const mesh = await chain(context);
    const counts = () => mesh.seen.map(({ length }) => length);
    const fails = (response: ServerResponse) => {
      response.writeHead(503).end('broken');
      return true;
    };

    for (const handsOnIds of [false, true]) {
      const how = handsOnIds ? 'ids are handed on' : 'applications hand on nothing';
      mesh.handsOnIds = handsOnIds;
      mesh.reset();
      mesh.onHop = (hop, response) => hop === DEPTH && fails(response);
      const lost = await mesh.call(`lost-${handsOnIds}`, { headers: HOST });
      assert.deepEqual([lost.status, counts()], [503, [1, 1, 1, 3]], `${how}: 81 requests would be a storm`);
      assert.equal(lost.headers['tulle-no-retry'], 'below');

      mesh.reset();
      let failures = 0;
      mesh.onHop = (hop, response) => hop === 3 && failures++ === 0 && fails(response);
      const saved = await mesh.call(`saved-${handsOnIds}`, { headers: HOST });
      assert.deepEqual([saved.status, counts()], [200, [1, 1, 2, 1]], how);
      assert.equal(mesh.seen[2]?.[1]?.['tulle-attempt'], '2');
    }

    // The caller retries hop1, which had not called anybody: what hop1 calls then is not retried by those below.
    mesh.reset();
    let first = true;
    mesh.onHop = (hop, response) => {
      const now = hop === DEPTH || (hop === 1 && first);
      if (hop === 1) first = false;
      return now && fails(response);
    };
    assert.equal((await mesh.call('owner', { headers: HOST })).status, 503);
    assert.deepEqual(counts(), [3, 2, 2, 2], 'the two retries of the caller, and none besides');

    // The deadline goes down the chain with the id.
    mesh.reset();
    mesh.onHop = () => false;
    await mesh.call('timed', { headers: { ...HOST, 'tulle-timeout-ms': '60000' } });
    const left = mesh.seen.map(([headers]) => Number(headers?.['tulle-timeout-ms']));
    assert.ok(
      left.every((ms, hop) => ms > 0 && ms < (left[hop - 1] ?? 60_000)),
      String(left),
    );
  },
);
