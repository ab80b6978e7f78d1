import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { goPrograms } from '../fixture/go-programs.ts';

const PROGRAMS = 'grpc-interop';
/** A machine that is busy is no failure of a soak: its own limits are far off. */
const SOAK = [
  '--soak_iterations=12',
  '--soak_num_threads=4',
  '--soak_per_iteration_max_acceptable_latency_ms=25000',
  '--soak_overall_timeout_seconds=25',
];
/** The policy that hands load reports to the cases that ask for them. */
const ORCA = '--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';
const CLIENT_LIMIT_MS = 30_000;

/** gRPC's own interoperability programs for Go: built on first use. */
function program(name: 'client' | 'server'): string {
  return join(goPrograms(join(import.meta.dirname, 'go'), PROGRAMS), name);
}

/** Go's interoperability server; ended with the test. Resolves with its HOST:PORT. */
export async function startGoServer(context: TestContext): Promise<string> {
  const child = spawn(program('server'), ['--port=0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, GRPC_GO_LOG_SEVERITY_LEVEL: 'info' },
  });
  const ended = once(child, 'exit');
  context.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let log = '';
  for await (const line of createInterface({ input: child.stderr })) {
    const [, port] = /interop server listening on .*:(\d+)$/.exec(line) ?? [];
    log += `${line}\n`;
    if (port === undefined) continue;
    child.stderr.resume();
    return `127.0.0.1:${port}`;
  }
  throw new Error(`Go's interoperability server ended: ${log}`);
}

/** Runs one case of Go's interoperability client. Rejects with its log if the case fails. */
export async function runGoClient(address: string, name: string): Promise<void> {
  const [host, port] = address.split(':');
  if (port === undefined) throw new Error(`"${address}" is no address to call`);
  const args = [`--server_host=${host}`, `--server_port=${port}`, `--test_case=${name}`];
  if (name.endsWith('_soak')) args.push(...SOAK);
  if (name.startsWith('orca_')) args.push(ORCA);
  const child = spawn(program('client'), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: CLIENT_LIMIT_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, GRPC_GO_LOG_SEVERITY_LEVEL: 'info' },
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`Go's interoperability client ended with ${code}: ${log.slice(-4000)}`);
}
