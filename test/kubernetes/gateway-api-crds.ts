import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MARK } from '../leftovers.ts';

/** The release whose definitions and conformance suite are used. 1.7 needs a Go that is newer than 1.26. */
const GATEWAY_API_VERSION = 'v1.6.3';

const DOWNLOAD_LIMIT_MS = 120_000;

/** Files of the definitions of a channel, from the Go module. Throws an Error with the words of go. */
export function gatewayApiCrds(channel: 'standard' | 'experimental' = 'standard'): string[] {
  const { [MARK]: _mark, ...env } = process.env; // go may leave a process that counts its use for a while
  const module = `sigs.k8s.io/gateway-api@${GATEWAY_API_VERSION}`;
  const { status, stdout, stderr } = spawnSync('go', ['mod', 'download', '-json', module], {
    cwd: tmpdir(),
    env,
    encoding: 'utf8',
    timeout: DOWNLOAD_LIMIT_MS,
  });
  if (status !== 0) throw new Error(`go mod download ${module} failed: ${stderr}${stdout}`);
  const { Dir: folder } = JSON.parse(stdout) as { Dir: string }; // go help mod download
  return globSync(join(folder, 'config/crd', channel, 'gateway.networking.k8s.io_*.yaml'))
    .filter((file) => /^kind: CustomResourceDefinition$/m.test(readFileSync(file, 'utf8')))
    .sort();
}
