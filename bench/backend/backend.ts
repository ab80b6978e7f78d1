import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { untilAnswered } from '../ask.ts';
import type { Certificates } from '../certificates.ts';
import { endWithBench, freePorts, start } from '../processes.ts';
import { nginxAround } from '../proxies/nginx.ts';

/** Compiles the application and starts it on the core of the bench; gives its port. Throws when gcc fails. */
export async function startApp(directory: string): Promise<number> {
  const binary = join(directory, 'app');
  const source = fileURLToPath(new URL('app.c', import.meta.url));
  const compiled = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', binary, source], { encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`gcc: ${compiled.error?.message ?? compiled.stderr}`);
  // Its standard input stays open as long as the bench lives, and the application ends with it.
  const app = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  endWithBench(app);
  const [line] = await app.stdout.setEncoding('utf8').take(1).toArray();
  const port = /^listening (\d+)$/m.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`the application did not start: ${line}`);
  await untilAnswered(Number(port), '/bytes/100', () => undefined);
  return Number(port);
}

/** Starts nginx as an application that answers 100 bytes, to callers with a certificate alone; gives its port. */
export async function startTlsApp(
  nginx: string,
  parent: string,
  core: number,
  { app, bundle }: Certificates,
): Promise<number> {
  const directory = join(parent, 'tls-app');
  mkdirSync(directory);
  const [port = 0, plain = 0] = await freePorts(2);
  const answer = `location / { default_type application/octet-stream; return 200 "${'x'.repeat(100)}"; }`;
  const file = join(directory, 'nginx.conf');
  writeFileSync(
    file,
    nginxAround(
      directory,
      `  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${app.cert};
    ssl_certificate_key ${app.key};
    ssl_protocols TLSv1.3;
    ssl_client_certificate ${bundle};
    ssl_verify_client on;
    ${answer}
  }
  server {
    listen 127.0.0.1:${plain}; # Only for the bench to see that it is up.
    ${answer}
  }`,
    ),
  );
  const args = ['-c', file, '-e', 'stderr'];
  const running = start({
    name: 'tls-app',
    command: nginx,
    args,
    core,
    log: join(directory, 'log'),
    directory,
  });
  await untilAnswered(plain, '/', running.failure);
  return port;
}
