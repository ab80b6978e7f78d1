import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VERSION } from '../protocol/version.ts';
import { writeArchive } from './archive.ts';
import { layBundle, layRuntime, PROXY_UID } from './root-file-system.ts';

/**
 * `npm run image -- --out FILE.tar [--name NAME:TAG]` writes Tulle's image as an OCI archive, of Node, iptables and
 * libraries of this machine and of the bundle in dist/. No container tool is needed. `--root DIR` lays the same files
 * into a folder instead: the Dockerfile does that.
 */
const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    root: { type: 'string' },
    name: { type: 'string', default: `docker.io/library/tulle:${VERSION}` },
    dist: { type: 'string', default: join(import.meta.dirname, '../dist') },
    node: { type: 'string', default: process.execPath },
  },
});
const { out, root, name, dist, node } = values;
// Modes are part of the digest.
process.umask(0o022);

if (root !== undefined) {
  layRuntime(resolve(root), node);
  layBundle(resolve(root), dist);
} else if (out !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-root-'));
  try {
    // Two layers: a node that has one version of Tulle pulls only the bundle of the next.
    const [runtime, bundle] = [join(folder, 'runtime'), join(folder, 'bundle')];
    mkdirSync(runtime);
    layRuntime(runtime, node);
    layBundle(bundle, dist);
    const written = writeArchive(resolve(out), [runtime, bundle], {
      name,
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      entrypoint: ['/usr/bin/tulle'],
      user: `${PROXY_UID}:${PROXY_UID}`,
      labels: {
        'org.opencontainers.image.title': 'tulle',
        'org.opencontainers.image.version': VERSION,
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    });
    const [compressed, unpacked] = [written.compressed, written.unpacked].map((bytes) =>
      (bytes / 1e6).toFixed(1),
    );
    console.log(`${name} ${written.digest}: ${compressed} MB to pull, ${unpacked} MB on disk`);
  } finally {
    rmSync(folder, { recursive: true });
  }
} else {
  console.error('image: write --out FILE.tar or --root DIR');
  process.exitCode = 1;
}
