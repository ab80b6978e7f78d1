import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { type Chain, type ChainProtocol, DEPTH, sidecarChain } from './sidecar-chain.ts';

const LIMIT = { timeout: 300_000 };
/** The last is that of a front whose applications call each other by gRPC. */
const WAYS: readonly (readonly ChainProtocol[])[] = [
  ['http', 'http', 'http', 'http'],
  ['http2', 'http2', 'http2', 'http2'],
  ['grpc', 'grpc', 'grpc', 'grpc'],
  ['http', 'http2', 'grpc', 'grpc'],
];
const UNAVAILABLE = 14;
const INTERNAL = 13;
const RESOURCE_EXHAUSTED = 8;

test(
  'in a chain of sidecars a failure is retried by the hop next to it, and by no other',
  LIMIT,
  async (context) => {
    const chain = await sidecarChain(context);
    for (const protocols of WAYS) {
      const way = protocols.join(' > ');
      chain.protocols = protocols;
      const [fine, failed] = protocols[0] === 'grpc' ? [0, UNAVAILABLE] : [200, 503];
      const counts = () => chain.seen.map(({ length }) => length);
      const ask = async (id: string, onHop: Chain['onHop'], headers = {}) => {
        chain.reset();
        chain.onHop = onHop;
        return chain.call(`${id} of ${way}`, headers);
      };

      for (const ids of ['none', 'of their own', 'handed on'] as const) {
        const how = `${way}, applications give their calls ids: ${ids}`;
        chain.ids = ids;
        const lost = await ask(`lost ${ids}`, (hop) => (hop === DEPTH ? 'fails' : undefined));
        assert.deepEqual([lost.status, counts()], [failed, [1, 1, 1, 3]], `${how}: 81 would be a storm`);
        assert.deepEqual(chain.told.slice(0, -1), [['below'], ['below'], ['exhausted']], how);
        assert.equal(lost.headers['tulle-no-retry'], 'below', how);

        let failures = 0;
        const saved = await ask(`saved ${ids}`, (hop) =>
          hop === 3 && failures++ === 0 ? 'fails' : undefined,
        );
        assert.deepEqual([saved.status, counts()], [fine, [1, 1, 2, 1]], how);
        assert.equal(chain.seen[2]?.[1]?.['tulle-attempt'], '2', how);
        assert.equal(saved.headers['tulle-no-retry'], undefined, how);
      }

      // The caller retries hop1, which had not called anybody: what hop1 calls then is not retried by those below.
      let first = true;
      const owned = await ask('owner', (hop) => {
        const now = hop === DEPTH || (hop === 1 && first);
        if (hop === 1) first = false;
        return now ? 'fails' : undefined;
      });
      assert.deepEqual(
        [owned.status, counts()],
        [failed, [3, 2, 2, 2]],
        `${way}: the caller's two, and none besides`,
      );

      chain.withoutBudget = true;
      const spent = await ask('spent', (hop) => (hop === DEPTH ? 'fails' : undefined));
      chain.withoutBudget = false;
      assert.deepEqual([spent.status, counts()], [failed, [1, 1, 1, 1]], way);
      assert.deepEqual(chain.told.slice(0, -1), [['below'], ['below'], ['budget']], way);

      // The deadline goes down the chain with the id.
      const inTime = protocols[0] === 'grpc' ? { 'grpc-timeout': '60S' } : { 'tulle-timeout-ms': '60000' };
      await ask('timed', () => undefined, inTime);
      const left = chain.seen.map(([headers]) => leftMs(headers));
      assert.ok(
        // Of gRPC it is rounded up.
        left.every((ms, hop) => ms > 0 && ms <= (left[hop - 1] ?? 60_000) + 1),
        `${way}: ${left}`,
      );
    }

    // An application that gives its own call more time than it has itself does not make it longer.
    chain.ownTimeout = '99S';
    for (const protocols of WAYS.filter((names) => names.at(-1) === 'grpc')) {
      chain.protocols = protocols;
      chain.reset();
      chain.onHop = () => undefined;
      const inTime = protocols[0] === 'grpc' ? { 'grpc-timeout': '50S' } : { 'tulle-timeout-ms': '50000' };
      await chain.call(`own time of ${protocols[0]}`, inTime);
      const left = leftMs(chain.seen.at(-1)?.[0]);
      assert.ok(left > 0 && left <= 50_001, `${left}`);
    }
    chain.ownTimeout = '';

    // What is refused has not run. Each of the three attempts is offered twice by the sidecar beside the application.
    for (const protocol of ['http2', 'grpc'] as const) {
      chain.protocols = Array.from({ length: DEPTH }, () => protocol);
      chain.reset();
      chain.onHop = (hop) => (hop === DEPTH ? 'refuses' : undefined);
      await chain.call(`refused by ${protocol}`);
      assert.deepEqual(
        chain.seen.map(({ length }) => length),
        [1, 1, 1, 6],
        protocol,
      );
      assert.deepEqual(chain.told.slice(0, -1), [['below'], ['below'], ['exhausted']], protocol);
    }

    // An application may make another status of it: its caller's policy names that, and still makes no retry.
    chain.protocols = Array.from({ length: DEPTH }, () => 'grpc');
    for (const [cause, answered] of [
      [RESOURCE_EXHAUSTED, INTERNAL],
      [INTERNAL, UNAVAILABLE],
    ] as const) {
      chain.reset();
      chain.onHop = (hop) => (hop === DEPTH ? cause : undefined);
      chain.onFailure = () => answered;
      const { status, headers } = await chain.call(`made ${answered} of ${cause}`);
      const counts = chain.seen.map(({ length }) => length);
      assert.deepEqual([status, counts, headers['tulle-no-retry']], [answered, [1, 1, 1, 3], 'below']);
    }
  },
);

/** What an application was told to be left of the time, in ms. */
function leftMs(headers: IncomingHttpHeaders = {}): number {
  const [, count, unit] = /^(\d+)([Smun])$/.exec(String(headers['grpc-timeout'])) ?? [];
  if (count === undefined) return Number(headers['tulle-timeout-ms']);
  return Number(count) * { S: 1000, m: 1, u: 0.001, n: 1e-6 }[unit as 'm'];
}
