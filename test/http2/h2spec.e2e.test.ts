import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { goPrograms } from '../fixture/go-programs.ts';
import { listenerOf } from '../fixture/mesh-pair.ts';
import { http1Mesh, temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { startHttp1 } from './server.ts';

/** Seconds that h2spec waits for an answer; a case that asks for silence waits as long. */
const ANSWER_SECONDS = 2;
/** Of the whole run, ms: a third of the cases may wait for ANSWER_SECONDS. */
const RUN_LIMIT_MS = 200_000;
/** How many cases version 2.2.1 has: a run that ends early is no success. */
const CASES = 146;

const OTHER_PREFACE = '3.5. HTTP/2 Connection Preface (http2/3.5): Sends invalid connection preface';

/** Cases that RFC 9113 does not ask for, by `SECTION: WORDS`, with the reason. */
const EXCLUDED: Readonly<Record<string, string>> = {
  // What is left of the case is the last test below.
  [OTHER_PREFACE]:
    'the port takes HTTP/1.1 too: who does not begin as HTTP/2 is told so in HTTP/1.1 before the connection ends, which h2spec cannot read; GOAWAY may be omitted (section 3.4)',
};

interface Case {
  /** `SECTION: WORDS`. */
  readonly name: string;
  /** What was expected and what came; '' if it passed. */
  readonly failure: string;
}

/** Reads h2spec's report (JUnit). It holds raw bytes of frames, so that no XML parser takes it. */
function readReport(file: string): Case[] {
  const cases: Case[] = [];
  let section = '';
  const parts = readFileSync(file, 'latin1').matchAll(
    /<testsuite name="([^"]*)"|<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  );
  for (const [, suite, of, words, inner = ''] of parts) {
    if (suite !== undefined) section = suite;
    else cases.push({ name: `${section} (${of}): ${words}`, failure: inner.trim() });
  }
  return cases;
}

test('h2spec: every case of its suites against an outbound listener', async (context) => {
  let served = 0;
  const backend = await startHttp1(context, (request, response) => {
    served++;
    request.on('error', () => {}); // cases cut their requests short
    request.resume().on('end', () => response.end('h2spec was here'));
  });
  const dir = temporaryDir(context);
  const mesh = join(dir, 'mesh.yaml');
  writeMesh(mesh, http1Mesh([backend.address]));
  // h2spec's authority is the address that it calls: a listener for the one service takes it.
  const flags = ['--outbound', '127.0.0.1:0', '--outbound-service', 't/app=127.0.0.1:0', '--namespace', 't'];
  const sidecar = await startTulle(context, 'sidecar', '--standalone', mesh, ...flags);
  const [host = '', port = ''] = listenerOf(sidecar.ready, 't/app').split(':');

  const program = join(goPrograms(join(import.meta.dirname, 'h2spec'), 'h2spec'), 'h2spec');
  const report = join(dir, 'report.xml');
  const args = ['-h', host, '-p', port, '--strict', '-o', String(ANSWER_SECONDS), '-j', report];
  const run = spawn(program, args, { stdio: 'ignore', timeout: RUN_LIMIT_MS, killSignal: 'SIGKILL' });
  const [code, signal] = (await once(run, 'exit')) as [number | null, string | null];
  assert.equal(signal, null, 'h2spec did not come to its end');
  context.diagnostic(`measured: h2spec ended with ${code}`);

  const cases = readReport(report);
  assert.equal(cases.length, CASES);
  const names = new Set(cases.map(({ name }) => name));
  assert.deepEqual(
    Object.keys(EXCLUDED).filter((name) => !names.has(name)),
    [],
    'an exclusion of a case that there is not',
  );
  for (const { name, failure } of cases) {
    if (EXCLUDED[name] === undefined) await context.test(name, () => assert.equal(failure, ''));
  }
  assert.ok(served > 0, 'its requests reached the server');
  const before = served;
  await context.test(
    'a preface that is not HTTP/2: 400, the connection ends, the server sees nothing',
    async () => {
      const client = await rawClient(`${host}:${port}`);
      client.send('INVALID CONNECTION PREFACE\r\n\r\n');
      assert.match(await client.untilEnd(), /^HTTP\/1\.1 400 /);
      client.close();
      assert.equal(served, before);
    },
  );
  assert.equal(sidecar.child.exitCode, null, `the sidecar ended: ${sidecar.log}`);
});
