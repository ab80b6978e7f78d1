import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../../test/fixture/wait.ts';
import { FakeApiServer, QUICK } from './api-server.fixture.ts';
import { openApiSession } from './api-session.ts';
import { ResourceWatch, type WatchedKind, type WatchTiming } from './resource-watch.ts';

const PATH = '/api/v1/things';
const CORE: WatchedKind = { kind: 'Thing', paths: [PATH], optional: false };
const OPTIONAL: WatchedKind = { ...CORE, optional: true };

interface Followed {
  readonly api: FakeApiServer;
  readonly watch: ResourceWatch;
  /** What is known now, by key. */
  readonly known: Map<string, unknown>;
  /** `put KEY`, `remove KEY`. */
  readonly told: string[];
  readonly logged: string[];
}

interface Settings {
  readonly watched?: WatchedKind;
  readonly timing?: Partial<WatchTiming>;
  /** What is there, and what goes wrong, from the beginning. */
  readonly prepare?: (api: FakeApiServer) => void;
}

async function follow(
  context: TestContext,
  { watched = CORE, timing, prepare }: Settings = {},
): Promise<Followed> {
  const api = new FakeApiServer();
  await api.listen();
  api.install(PATH);
  prepare?.(api);
  const known = new Map<string, unknown>();
  const told: string[] = [];
  const logged: string[] = [];
  const sink = {
    put(key: string, object: object) {
      told.push(`put ${key}`);
      known.set(key, (object as { value?: unknown }).value);
    },
    remove(key: string) {
      told.push(`remove ${key}`);
      known.delete(key);
    },
  };
  const write = (_details: object, message: string) => void logged.push(message);
  const log = { debug() {}, info: write, warn: write, error: write };
  const kubeConfig = api.kubeConfig();
  const watch = new ResourceWatch(watched, () => openApiSession(kubeConfig), sink, log, {
    ...QUICK,
    ...timing,
  });
  context.after(async () => {
    watch.close();
    await api.close();
  });
  watch.start();
  return { api, watch, known, told, logged };
}

const thing = (name: string, value: unknown = 1) => ({ metadata: { name, namespace: 'a' }, value });
const put = (api: FakeApiServer, ...names: string[]) => {
  for (const name of names) api.put(PATH, thing(name));
};
const isWatched = (api: FakeApiServer) => until('a watch', () => api.watching(PATH) === 1);
const watches = (api: FakeApiServer) => api.requests.filter((request) => request.watch);
const lists = (api: FakeApiServer) => api.requests.filter((request) => !request.watch);

test('lists page by page, then watches from where the list was', async (context) => {
  const { api, watch, known, told } = await follow(context, { prepare: (one) => put(one, 'x', 'y', 'z') });
  await watch.synced;
  assert.deepEqual(told, ['put a/x', 'put a/y', 'put a/z']);
  await isWatched(api);
  const [first] = watches(api);
  assert.equal(first?.query.get('resourceVersion'), `${api.version}`);
  assert.equal(first?.query.get('allowWatchBookmarks'), 'true');
  assert.deepEqual(
    lists(api).map(({ query }) => [query.get('limit'), query.get('continue')]),
    [
      ['500', null],
      ['500', '2'],
    ],
  );
  api.put(PATH, thing('x', 2));
  api.put(PATH, thing('new'));
  api.remove(PATH, 'a/y');
  await until('the events', () => told.length === 6);
  assert.deepEqual(told.slice(3), ['put a/x', 'put a/new', 'remove a/y']);
  assert.equal(known.get('a/x'), 2);
  const { connected, served, lastError } = watch.state();
  assert.deepEqual([connected, served, lastError], [true, true, undefined]);
});

test('a watch that the server ends is continued from the last version, also one of a bookmark', async (context) => {
  const { api, watch, told } = await follow(context, { prepare: (one) => put(one, 'x') });
  await isWatched(api);
  api.version = 5000;
  api.write(PATH, '{"type":"BOOKMARK","object":{"kind":"Thing","metadata":{"resourceVersion":"5000"}}}\n');
  api.endWatches(PATH);
  await until('the second watch', () => watches(api).length === 2);
  assert.equal(watches(api)[1]?.query.get('resourceVersion'), '5000');
  assert.deepEqual([lists(api).length, told], [1, ['put a/x']]);
  assert.equal(watch.state().connected, true);
});

test('a bookmark that comes in pieces is one', async (context) => {
  const { api } = await follow(context);
  await isWatched(api);
  for (const part of ['{"type":"BOOK', 'MARK","object":{"metadata":{"resource', 'Version":"5000"}}}\n']) {
    api.write(PATH, part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  api.endWatches(PATH);
  await until('the second watch', () => watches(api).length === 2);
  assert.equal(watches(api)[1]?.query.get('resourceVersion'), '5000');
});

for (const [how, gone] of [
  [
    'an event',
    (api: FakeApiServer) =>
      api.write(PATH, '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n'),
  ],
  [
    'an answer',
    (api: FakeApiServer) => {
      let once = true;
      api.fault = ({ watch }) => {
        if (!watch || !once) return undefined;
        once = false;
        return { status: 410 };
      };
      api.resetWatches(PATH);
    },
  ],
] as const)
  test(`410 Gone as ${how}: a new list tells only what differs, and what is gone`, async (context) => {
    const { api, known, told } = await follow(context, { prepare: (one) => put(one, 'x', 'y', 'z') });
    await isWatched(api);
    api.removeSilently(PATH, 'a/y');
    gone(api);
    await until('the new list', () => told.length > 3);
    assert.deepEqual(told.slice(3), ['remove a/y']);
    api.put(PATH, thing('x', 2));
    await until('the event after it', () => known.get('a/x') === 2);
  });

test('410 Gone of a page begins the list anew and takes nothing away', async (context) => {
  let pages = 0;
  const { watch, told } = await follow(context, {
    prepare: (api) => {
      put(api, 'x', 'y', 'z');
      api.fault = ({ query }) => (query.has('continue') && pages++ === 0 ? { status: 410 } : undefined);
    },
  });
  await watch.synced;
  assert.deepEqual(told, ['put a/x', 'put a/y', 'put a/z']);
});

test('an event that is cut off is told whole after the reconnect, and no other twice', async (context) => {
  const { api, told } = await follow(context, { prepare: (one) => put(one, 'x') });
  await isWatched(api);
  put(api, 'y');
  await until('y', () => told.length === 2);
  api.write(PATH, '{"type":"ADDED","object":{"metadata":{"name":"z","names');
  api.resetWatches(PATH);
  put(api, 'z');
  await until('z', () => told.includes('put a/z'));
  assert.deepEqual(told, ['put a/x', 'put a/y', 'put a/z']);
  assert.equal(lists(api).length, 1);
});

for (const [what, line] of [
  ['no JSON', '{"type":"ADDED","object"\n'],
  ['not an event', '[1,2]\n'],
  ['an event without an object', '{"type":"ADDED"}\n'],
  ['an object without a version', '{"type":"ADDED","object":{"metadata":{"name":"bad"}}}\n'],
  ['an error without a code', '{"type":"ERROR","object":{"message":"etcd is away"}}\n'],
  ['null', 'null\n'],
] as const)
  test(`a watch that says ${what} is begun anew and loses nothing`, async (context) => {
    const { api, watch, told } = await follow(context, { prepare: (one) => put(one, 'x') });
    await isWatched(api);
    api.write(PATH, line);
    await until('the second watch', () => watches(api).length === 2);
    put(api, 'y');
    await until('y', () => told.length === 2);
    assert.deepEqual(told, ['put a/x', 'put a/y']);
    assert.equal(watch.state().connected, true);
  });

test('a list that is no list, or is cut off, takes nothing away', async (context) => {
  const bodies = ['{"items":[]}', '{"metadata":{"resourceVersion":"1"}}', '{"items":[{"metadata":', 'null'];
  const { api, told } = await follow(context, { prepare: (one) => put(one, 'x') });
  await isWatched(api);
  api.fault = ({ watch }) => {
    if (watch) return bodies.length > 0 ? { status: 410 } : undefined;
    const body = bodies.shift();
    return body === undefined ? undefined : { status: 200, body };
  };
  api.resetWatches(PATH);
  await until('a watch after all bad lists', () => bodies.length === 0 && api.watching(PATH) === 1);
  assert.deepEqual(told, ['put a/x']);
});

test('a watch that falls silent is begun anew: its socket may be half open', async (context) => {
  const { api, told, logged } = await follow(context, {
    timing: { idleMs: 50 },
    prepare: (one) => put(one, 'x'),
  });
  await until('two more watches', () => watches(api).length >= 3);
  put(api, 'y');
  await until('y', () => told.includes('put a/y'));
  assert.equal(lists(api).length, 1);
  assert.deepEqual(logged, [], 'silence where nothing happens is no fault');
});

test('a server that takes requests and answers none is given up, and known things stay', async (context) => {
  const { api, watch, known } = await follow(context, {
    timing: { answerMs: 50 },
    prepare: (one) => put(one, 'x'),
  });
  await isWatched(api);
  api.fault = () => 'hang';
  api.resetWatches(PATH);
  await until('the loss', () => !watch.state().connected && watches(api).length > 3);
  assert.match(watch.state().lastError ?? '', /timeout/i);
  assert.deepEqual([...known.keys()], ['a/x']);
  api.fault = () => undefined;
  await until('the return', () => watch.state().connected);
});

test('a server that hangs at the first list is asked again', async (context) => {
  let asked = 0;
  const { watch, known } = await follow(context, {
    timing: { answerMs: 50 },
    prepare: (api) => {
      put(api, 'x');
      api.fault = () => (asked++ < 2 ? 'hang' : undefined);
    },
  });
  await watch.synced;
  assert.deepEqual([...known.keys()], ['a/x']);
});

test('a server that is away keeps nobody from what is known, and is found again', async (context) => {
  const { api, watch, known, told, logged } = await follow(context, { prepare: (one) => put(one, 'x') });
  await isWatched(api);
  await until('the answer to the watch', () => watch.state().connected);
  const before = watch.state().since;
  await api.close();
  await until('the loss', () => !watch.state().connected);
  const lost = watch.state();
  assert.ok(lost.since >= before && lost.lastError !== undefined);
  await until('a second error', () => (watch.state().lastError ?? '').includes('ECONNREFUSED'));
  assert.equal(watch.state().since, lost.since, 'since when it is lost, not since the last try');
  assert.deepEqual([...known.keys()], ['a/x']);
  put(api, 'y');
  await api.listen();
  await until('y', () => known.has('a/y'));
  assert.deepEqual(told, ['put a/x', 'put a/y']);
  await until('the return', () => watch.state().connected);
  assert.deepEqual(logged, ['cannot follow the API server: what is known stays', 'the API server is back']);
});

test('500, 503 and 429 are tried again with what is known', async (context) => {
  const faults = [500, 503, 429, 502];
  const { api, watch, known } = await follow(context, {
    prepare: (one) => {
      put(one, 'x');
      one.fault = () => {
        const status = faults.shift();
        return status === undefined ? undefined : { status };
      };
    },
  });
  await watch.synced;
  assert.deepEqual([...known.keys()], ['a/x']);
  faults.push(500);
  api.resetWatches(PATH);
  await until('the end of faults', () => faults.length === 0 && api.watching(PATH) === 1);
  assert.equal(lists(api).length, 5, 'a watch that failed once needs no new list');
});

test('429 with Retry-After is waited for, but not longer than three times the longest wait', async (context) => {
  const askedAt: number[] = [];
  const { watch } = await follow(context, {
    timing: { maxBackoffMs: 100 },
    prepare: (api) => {
      api.fault = () => {
        askedAt.push(performance.now());
        return askedAt.length === 1 ? { status: 429, headers: { 'retry-after': '3600' } } : undefined;
      };
    },
  });
  await watch.synced;
  const [first = 0, second = 0] = askedAt;
  assert.ok(second - first >= 299, `${second - first} ms`);
});

test('a version that is refused again and again, as after a restored backup, is given up for a new list', async (context) => {
  const { api, told } = await follow(context, { prepare: (one) => put(one, 'x', 'y') });
  await isWatched(api);
  api.removeSilently(PATH, 'a/y');
  const old = watches(api)[0]?.query.get('resourceVersion');
  api.fault = ({ watch, query }) =>
    watch && query.get('resourceVersion') === old ? { status: 504 } : undefined;
  api.resetWatches(PATH);
  await until('the new list', () => told.includes('remove a/y'));
});

test('a kind that is not installed is looked for, and picked up when it comes', async (context) => {
  const { api, watch, known } = await follow(context, {
    watched: OPTIONAL,
    prepare: (one) => one.uninstall(PATH),
  });
  await watch.synced;
  assert.deepEqual([watch.state().connected, watch.state().served], [true, false]);
  put(api, 'x');
  await until('x', () => known.has('a/x'));
  await until('it is served', () => watch.state().served);
});

test('a kind that is taken away takes its objects with it, but not at the first 404', async (context) => {
  let looks = 0;
  const { api, told } = await follow(context, { watched: OPTIONAL, prepare: (one) => put(one, 'x') });
  await isWatched(api);
  api.fault = ({ watch }) => {
    if (watch && looks++ === 0) return { status: 404 };
    return undefined;
  };
  api.resetWatches(PATH);
  await until('the watch after the 404', () => looks > 1 && api.watching(PATH) === 1);
  assert.deepEqual(told, ['put a/x']);
  api.uninstall(PATH);
  await until('the end of x', () => told.length === 2);
  assert.deepEqual(told, ['put a/x', 'remove a/x']);
});

test('a 404 for what each cluster has is a fault, not an empty cluster', async (context) => {
  const { api, watch, known } = await follow(context, { prepare: (one) => put(one, 'x') });
  await isWatched(api);
  api.fault = () => ({ status: 404 });
  api.resetWatches(PATH);
  await until('many 404', () => api.requests.length > 6);
  assert.deepEqual([...known.keys(), watch.state().connected], ['a/x', false]);
});

test('of several versions the first that is served is used', async (context) => {
  const watched = { ...OPTIONAL, paths: ['/v1/things', '/v1beta1/things', PATH] };
  const { api, watch, known } = await follow(context, { watched, prepare: (one) => put(one, 'x') });
  await watch.synced;
  await isWatched(api);
  assert.deepEqual([...known.keys()], ['a/x']);
  assert.deepEqual(
    api.requests.map(({ path }) => path),
    ['/v1/things', '/v1beta1/things', PATH, PATH],
  );
});

test('an optional kind that may not be read holds nobody up, and is told', async (context) => {
  const { api, watch } = await follow(context, {
    watched: OPTIONAL,
    prepare: (one) => {
      one.fault = () => ({ status: 403 });
    },
  });
  await watch.synced;
  assert.deepEqual([watch.state().connected, watch.state().lastError], [false, '403 told 403']);
  api.fault = () => undefined;
  await until('the permission', () => watch.state().connected);
});

test('a watch that ends at once, again and again, is not begun without a pause', async (context) => {
  let ends = 0;
  const { api } = await follow(context, {
    timing: { backoffMs: 200, maxBackoffMs: 100_000 },
    prepare: (one) => {
      one.fault = ({ watch }) => {
        if (watch) ends++;
        return watch ? { status: 200, body: '' } : undefined;
      };
    },
  });
  const startMs = performance.now();
  await until('three ends', () => ends === 3);
  assert.ok(performance.now() - startMs >= 300, 'half of 200 and of 400 ms at least');
  assert.equal(api.watching(PATH), 0);
});

test('a closed watch asks nothing more', async (context) => {
  const { api, watch } = await follow(context);
  await isWatched(api);
  watch.close();
  await until('the end of the watch', () => api.watching(PATH) === 0);
  const { length } = api.requests;
  const witness = await follow(context);
  await isWatched(witness.api);
  assert.equal(api.requests.length, length);
});

test('without credentials it says so and tries again', async (context) => {
  const logged: string[] = [];
  const log = {
    debug() {},
    info() {},
    error() {},
    warn: (details: object) => void logged.push(JSON.stringify(details)),
  };
  const noOne = () => Promise.reject(new Error('the kubeconfig has no current cluster'));
  const watch = new ResourceWatch(CORE, noOne, { put() {}, remove() {} }, log, QUICK);
  context.after(() => watch.close());
  watch.start();
  await until('the error', () => watch.state().lastError !== undefined);
  assert.match(logged.join(), /the kubeconfig has no current cluster/);
});
