import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { chooseCores, parseCpuList } from './cores.ts';
import { freePorts, processesOf, start, stop } from './processes.ts';
import { processesOfGroup } from './readings/cpu.ts';

const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-test-'));
after(() => rmSync(directory, { recursive: true }));

const shell = (script: string) =>
  start({ name: 'sh', command: 'sh', args: ['-c', script], core: 0, log: join(directory, 'log'), directory });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('stopping a program ends the workers that it forked, and stopping again is harmless', async () => {
  const running = shell('sleep 600 & sleep 600');
  await until(() => processesOf([running]).length === 3);
  await stop(running);
  await until(() => processesOf([running]).length === 0);
  await stop(running);
});

test('workers of a master that crashed are ended too, and its log is told', async () => {
  const running = shell('sleep 600 & echo out of luck; exit 3');
  await running.ended;
  assert.match(running.failure() ?? '', /exit code 3\):\nout of luck/);
  await until(() => processesOf([running]).length === 0);
});

test('an interrupted bench leaves no process behind', async () => {
  const script = `
    import { killEverything, processesOf, start } from ${JSON.stringify(new URL('processes.ts', import.meta.url).href)};
    process.on('SIGINT', () => { killEverything(); process.exit(130); });
    const running = start({ name: 'sh', command: 'sh', args: ['-c', 'sleep 600 & sleep 600'], core: 0,
      log: ${JSON.stringify(join(directory, 'inner'))}, directory: ${JSON.stringify(directory)} });
    const poll = () => processesOf([running]).length === 3 ? console.log(running.group) : setImmediate(poll);
    poll();
    setInterval(() => {}, 1000);
  `;
  const bench = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await bench.stdout.setEncoding('utf8').take(1).toArray();
  const group = Number(line);
  assert.equal(processesOfGroup(group).length, 3);
  bench.kill('SIGINT');
  await new Promise((resolve) => bench.once('exit', resolve));
  await until(() => processesOfGroup(group).length === 0);
});

test('free ports differ from each other', async () => {
  const ports = await freePorts(8);
  assert.equal(new Set(ports).size, 8);
});

test('cpu lists hold ranges and single cpus', () => {
  assert.deepEqual(parseCpuList('0-2,5\n'), [0, 1, 2, 5]);
  assert.deepEqual(parseCpuList('3'), [3]);
});

test('the two cores differ, or the bench says that it needs two', () => {
  try {
    const cores = chooseCores();
    assert.notEqual(cores.proxy, cores.load);
  } catch (error) {
    assert.match((error as Error).message, /needs two cores/);
  }
});
