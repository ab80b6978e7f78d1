import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { until } from '../ask/until.ts';
import { freePorts, type Running } from '../processes.ts';
import type { Chain, Programs } from './chain.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');

/** A sidecar, a control plane and Redis. `limit`: as in the annotation; undefined: none. */
export async function tulleChain(
  programs: Programs,
  limit: string | undefined,
  appPort: number,
): Promise<Chain> {
  const { directory } = programs;
  const { redis, redisPort } = await programs.redis();
  const [controlPort = 0, port = 0] = await freePorts(2);
  const [state, token, mesh] = ['state', 'token', 'mesh.yaml'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(state, { recursive: true });
  const annotations = limit === undefined ? {} : { 'tulle.dev/rate-limit': limit };
  const services = [{ name: 'orders', namespace: 'shop', port: 80, protocol: 'http', annotations }];
  writeFileSync(mesh, JSON.stringify({ services, quotas: { store: `redis://127.0.0.1:${redisPort}` } })); // YAML holds JSON
  const serve = ['control-plane', '--mesh', mesh, '--state', state, '--listen', `127.0.0.1:${controlPort}`];
  const limiter = programs.start('control-plane', process.execPath, [MAIN, ...serve], 1);
  const bundle = await bundleOf(limiter, programs.log('control-plane'));
  writeFileSync(token, await mintJoinToken(state, 'shop/orders', 600_000), { mode: 0o600 });
  const joining = ['--control-plane', `127.0.0.1:${controlPort}`, '--bundle', bundle, '--token-file', token];
  const workload = ['--inbound', `127.0.0.1:${port}`, '--workload', `shop/orders=127.0.0.1:${appPort}`];
  const proxy = programs.start('sidecar', process.execPath, [MAIN, 'sidecar', ...joining, ...workload], 0);
  return { redis, redisPort, limiter, proxy, port };
}

/** What the control plane says when it is ready. */
async function bundleOf(program: Running, log: string): Promise<string> {
  let bundle: string | undefined;
  const read = async (): Promise<void> => {
    const line = readFileSync(log, 'utf8')
      .split('\n')
      .find((one) => one.includes('"bundle"'));
    if (line === undefined) throw new Error('not yet');
    bundle = (JSON.parse(line) as { bundle: string }).bundle;
  };
  await until(read, 'the control plane', program.failure);
  return bundle ?? '';
}
