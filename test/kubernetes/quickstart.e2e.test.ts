import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import { until } from '../fixture/wait.ts';
import { read } from '../tooling/repository.ts';
import { type CommandBlock, documentedCommands, runBlock } from './documented-commands.ts';
import { removeMesh } from './installed-mesh.ts';
import {
  apply,
  clusterIps,
  kubectl,
  leaveNamespace,
  pods,
  removeNamespace,
  restart,
  rolledOut,
  uniqueName,
} from './kubectl.ts';
import { deployment, service } from './workloads.ts';

/** Pods that are meshed when the mesh is taken away, as the page's last sentence has them. */
const STAYS = uniqueName('tulle-quickstart');

const LONG_MS = 60_000;

before(removeMesh);
after(async () => {
  await Promise.all([leaveNamespace(STAYS), removeNamespace('shop')]);
  await removeMesh();
});

/** The commands of a page, to be run one after the other. */
class Reader {
  private readonly left: CommandBlock[];

  constructor(page: string) {
    this.left = documentedCommands(read(page));
  }

  /** Runs the next block, which must have `command`, and returns what it printed. */
  runs(command: string): Promise<string> {
    const block = this.left.shift();
    assert.ok(block !== undefined, `no block is left for ${command}`);
    assert.ok(block.text.includes(command), `the next block has not ${command}: ${block.text}`);
    return runBlock(block);
  }

  get isThrough(): boolean {
    return this.left.length === 0;
  }
}

test('the quickstart does what it says, from the installation to the end', async () => {
  const reader = new Reader('docs/kubernetes-quickstart.md');
  assert.match(await reader.runs('helm install'), /STATUS: deployed/);
  const listed = await reader.runs('kubectl apply -f examples/shop/');
  assert.match(listed, /deployment "web" successfully rolled out/);
  assert.match(listed, /^web-\S+ +2\/2 +Running/m);
  assert.doesNotMatch(listed, /^\S+ +\d\/1 /m, 'a pod has no proxy');
  assert.match(await reader.runs('job/stock-count'), /job.batch\/stock-count condition met/);
  // As long as a reader needs to go on.
  await until('the visitors to be served', async () => ((await tally())?.succeeded ?? 0) > 0, LONG_MS);
  assert.match(await reader.runs('logs deployment/traffic'), /^\{"sent":\d+,"succeeded":\d+,"failures":/);
  const counted = await reader.runs('ledger-0:4191');
  assert.match(counted, /source_principal="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/payments"/);
  assert.match(counted, /connection_security_policy="mutual_tls"/);
  await reader.runs('tulle.dev/allow=web');
  await reader.runs('tulle.dev/timeout=2minutes');
  const why = await reader.runs('tulle explain');
  assert.match(why, /^403 .*not-allowed/m);
  assert.match(why, /try-1/);
  await until('visitors to be served as before, with policy and wrong value', servedForASecond, LONG_MS);

  await apply([
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: STAYS, labels: { 'tulle.dev/inject': 'enabled' } },
    },
    ...deployment(STAYS, 'web', { args: ['--calls=http://api:8080/'] }),
    ...deployment(STAYS, 'api'),
    service(STAYS, 'web'),
    service(STAYS, 'api'),
  ]);
  await rolledOut(STAYS, 'deployment/web', 'deployment/api');
  await reader.runs('helm uninstall');
  assert.ok(reader.isThrough);
  assert.deepEqual(await containersOf('web'), ['tulle-capture', 'tulle-proxy', 'app']);
  assert.equal(await asked('web'), 200, 'the proxies go on');
  await restart(STAYS, 'deployment/api');
  assert.equal(await asked('web'), 200, 'with a proxy on one side');
  await restart(STAYS, 'deployment/web');
  assert.deepEqual(await containersOf('web'), ['app']);
  assert.equal(await asked('web'), 200, 'as without a mesh');
});

test("the README's commands are those of the quickstart", () => {
  const [section = ''] = /^## On Kubernetes$.*?(?=^## )/ms.exec(read('README.md')) ?? [];
  const quickstart = documentedCommands(read('docs/kubernetes-quickstart.md')).flatMap(({ text }) =>
    text.split('\n'),
  );
  for (const { text } of documentedCommands(section)) {
    for (const line of text.trimEnd().split('\n')) assert.ok(quickstart.includes(line), line);
  }
});

interface Tally {
  readonly sent: number;
  readonly succeeded: number;
}

/** What the visitors have told last, if anything. */
async function tally(): Promise<Tally | undefined> {
  const line = await kubectl('-n', 'shop', 'logs', 'deployment/traffic', '-c', 'traffic', '--tail=1');
  return line === '' ? undefined : (JSON.parse(line) as Tally);
}

/** Whether no request failed between two lines that the visitors tell. */
async function servedForASecond(): Promise<boolean> {
  const lines = await kubectl('-n', 'shop', 'logs', 'deployment/traffic', '-c', 'traffic', '--tail=3');
  const [before, , now] = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Tally & { failures: object });
  return (
    before !== undefined &&
    now !== undefined &&
    now.succeeded > before.succeeded &&
    isDeepStrictEqual(now.failures, before.failures)
  );
}

async function asked(name: string): Promise<number> {
  const [ip] = await clusterIps(STAYS, name);
  const { statusCode, body } = await request(`http://${ip}:8080/`);
  await body.dump();
  return statusCode;
}

/** Names of the containers of the pods of an app that are not about to end. */
async function containersOf(app: string): Promise<string[]> {
  const found = await pods(STAYS, `app=${app}`);
  return found
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .flatMap(({ spec }) => [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name));
}
