import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../processes.ts';
import { nginxAround } from '../proxies/nginx.ts';
import type { Chain, Programs } from './chain.ts';

/** The usual way: nginx asks a service of limits for each request (`auth_request`), and that asks Redis. */
export async function nginxChain(programs: Programs, appPort: number): Promise<Chain> {
  const { directory } = programs;
  const { redis, redisPort } = await programs.redis();
  const [limiterPort = 0, port = 0] = await freePorts(2);
  const service = join(import.meta.dirname, 'limiter.ts');
  const ports = [String(limiterPort), String(redisPort)];
  const limiter = programs.start('limiter', process.execPath, [service, ...ports], 1);
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, nginxAround({ directory }, serversOf(port, limiterPort, appPort)));
  const proxy = programs.start('nginx', 'nginx', ['-c', file, '-p', directory], 0);
  return { redis, redisPort, limiter, proxy, port };
}

function serversOf(port: number, limiterPort: number, appPort: number): string {
  return `  upstream limiter { server 127.0.0.1:${limiterPort}; keepalive 64; }
  upstream app { server 127.0.0.1:${appPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1;
    proxy_set_header connection "";
    location / {
      auth_request /limit;
      error_page 403 =429 @refused;
      proxy_pass http://app;
    }
    location @refused { return 429; }
    location = /limit {
      internal;
      proxy_pass http://limiter;
      proxy_pass_request_body off;
      proxy_set_header content-length "";
    }
  }`;
}
