import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askHttp1 } from '../ask/http1.ts';
import { until } from '../ask/until.ts';
import type { Certificates } from '../certificates.ts';
import { freePorts, start } from '../processes.ts';
import { nginxAround } from '../proxies/nginx.ts';

/** Where an application of nginx runs. */
export interface AppGround {
  /** The program. */
  nginx: string;
  directory: string;
  core: number;
  certificates: Certificates;
}

/** nginx gives answers from its configuration, where a word is at most 4 KiB long: variables make longer ones. */
function answers(): string {
  const kibibyte = `set $kibibyte "${'x'.repeat(1024)}";`;
  return `    default_type application/octet-stream;
    ${kibibyte}
    location = /bytes/100 { return 200 "${'x'.repeat(100)}"; }
    location = /bytes/16384 { return 200 "${'$kibibyte'.repeat(16)}"; }`;
}

async function startNginx({ nginx, directory, core }: AppGround, name: string, server: string) {
  const own = join(directory, name);
  mkdirSync(own);
  const [port = 0, plain = 0] = await freePorts(2);
  const file = join(own, 'nginx.conf');
  writeFileSync(
    file,
    nginxAround(
      { directory: own },
      `  server {
    listen 127.0.0.1:${port} ${server}
${answers()}
  }
  server {
    listen 127.0.0.1:${plain}; # Only for the bench to see that it is up.
${answers()}
  }`,
    ),
  );
  const args = ['-c', file, '-e', 'stderr'];
  const running = start({ name, command: nginx, args, core, log: join(own, 'log'), directory: own });
  const ask = async () => {
    const { status } = await askHttp1({ port: plain, host: name, path: '/bytes/100' });
    if (status !== 200) throw new Error(`status ${status}`);
  };
  await until(ask, `${name} gave no 200`, running.failure);
  return port;
}

/** Starts an application that answers callers with a certificate alone, by TLS 1.3; gives its port. */
export function startTlsApp(ground: AppGround): Promise<number> {
  const { app, bundle } = ground.certificates;
  return startNginx(
    ground,
    'tls-app',
    `ssl;
    ssl_certificate ${app.cert};
    ssl_certificate_key ${app.key};
    ssl_protocols TLSv1.3;
    ssl_client_certificate ${bundle};
    ssl_verify_client on;`,
  );
}

/** Starts an application that speaks HTTP/2 with prior knowledge; gives its port. */
export function startHttp2App(ground: AppGround): Promise<number> {
  return startNginx(ground, 'http2-app', 'http2;\n    http2_max_concurrent_streams 1000;');
}
