import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithBench } from '../processes.ts';

const bench = fileURLToPath(new URL('..', import.meta.url));

function compile(command: string, args: readonly string[], directory: string): void {
  const compiled = spawnSync(command, args, { cwd: directory, encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`${command}: ${compiled.error?.message ?? compiled.stderr}`);
}

/**
 * Compiles a C file of the bench (`load/stream.c`) into a directory, once; gives the program. Throws when gcc fails.
 */
export function compileC(source: string, directory: string): string {
  const binary = join(directory, `${basename(source, '.c')}.program`);
  if (existsSync(binary)) return binary;
  compile('gcc', ['-O2', '-Wall', '-Wextra', '-o', binary, join(bench, source)], bench);
  return binary;
}

/** Compiles the gRPC client and server into a directory, once. Throws when Go is missing or fails. */
export function compileGrpc(directory: string): string {
  const binary = join(directory, 'grpc.program');
  if (existsSync(binary)) return binary;
  compile('go', ['build', '-o', binary, '.'], join(bench, 'load/grpc'));
  return binary;
}

/** Starts an application that prints `listening PORT`; gives its port. It ends with its standard input, so with the bench. */
export async function startListening(command: string, args: readonly string[] = []): Promise<number> {
  const env = { ...process.env, GOMAXPROCS: '1' };
  const app = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true, env });
  endWithBench(app);
  const [line] = await app.stdout.setEncoding('utf8').take(1).toArray();
  const port = /^listening (\d+)$/m.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`${basename(command)} did not start: ${line}`);
  return Number(port);
}
