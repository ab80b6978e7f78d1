import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from './fixture/wait.ts';
import { leftovers } from './leftovers.ts';

const MAIN = join(import.meta.dirname, '../cli/main.ts');
/** In the environment of the demo and of all that it starts. */
const OWN_MARK = 'TULLE_TEST_DEMO';

interface Demo {
  readonly child: ChildProcess;
  readonly output: string;
  /** Processes of the demo that are still there. */
  left(): number;
}

function demo(context: TestContext, ...args: string[]): Demo {
  const mark = randomUUID();
  const child = spawn(process.execPath, [MAIN, 'demo', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, [OWN_MARK]: mark },
    detached: true, // a process group of its own, as in a terminal
  });
  context.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return {
    child,
    get output() {
      return output;
    },
    left: () => leftovers(mark, OWN_MARK).length,
  };
}

interface Summary {
  ok: boolean;
  requests: { sent: number; failed: number };
  edges: { source: string; destination: string; requests: number; success: number; mtls: boolean }[];
  endpoints: { service: string; requests: number }[];
  refused: { status: number; reason: string; detail: string };
  retried: { attempts: { result: string }[]; status: number };
}

test('the demo: every edge by mTLS, a retry explained, a stranger refused, exit code 0, nothing left', async (context) => {
  const running = demo(context, '--seconds', '8', '--json');
  const [code] = await once(running.child, 'close');
  assert.equal(code, 0, running.output);
  const summary = JSON.parse(running.output) as Summary;
  assert.equal(summary.ok, true);
  assert.deepEqual(
    summary.edges.map(({ source, destination }) => `${source} ${destination}`),
    ['gateway web', 'web orders', 'web users', 'orders payments', 'orders inventory'],
  );
  for (const edge of summary.edges) assert.ok(edge.mtls && edge.requests > 0, JSON.stringify(edge));
  assert.ok(summary.requests.sent > 0);
  assert.equal(summary.endpoints.length, 11);
  const { status, reason, detail } = summary.refused;
  assert.deepEqual([status, reason], [403, 'not-allowed']);
  assert.match(detail, /demo\/users may not call demo\/payments/);
  assert.equal(summary.retried.status, 200);
  assert.equal(summary.retried.attempts[0]?.result, '503');
  assert.equal(running.left(), 0);
});

test('Ctrl-C in a terminal ends the demo with all its processes, after its last words', async (context) => {
  const running = demo(context);
  await until('the table', () => running.output.includes('gateway -> web'));
  assert.ok(
    running.left() > 17,
    'control plane, applications, sidecars and gateway are processes of their own',
  );
  const { pid } = running.child;
  assert.ok(pid);
  // A terminal sends it to the whole group.
  process.kill(-pid, 'SIGINT');
  const [code] = await once(running.child, 'close');
  assert.equal(code, 0);
  assert.match(running.output, /A call that is not allowed .*\n.*403 not-allowed/);
  assert.match(running.output, /All processes have ended\.\n$/);
  assert.equal(running.left(), 0);
});

test('kill -9 of the demo leaves none of its processes behind', async (context) => {
  const running = demo(context);
  await until('the addresses', () => running.output.includes('admin ports'));
  running.child.kill('SIGKILL');
  await until('the end of all', () => running.left() === 0);
});

test('a flag that makes no sense is told by its name, and starts nothing', async (context) => {
  for (const args of [
    ['--rps', 'many'],
    ['--seconds', '0'],
  ]) {
    const running = demo(context, ...args);
    const [code] = await once(running.child, 'close');
    assert.equal(code, 1);
    assert.equal(running.output, '');
  }
});
