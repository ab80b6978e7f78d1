import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from './command.ts';

/** Names that the image goes by, one after the other the same. */
export interface ProgramImage {
  readonly names: readonly string[];
  /** Files without shared libraries: path in the image to path here. */
  readonly files: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}

/**
 * Writes an image that holds statically linked programs and nothing else, as an OCI archive (image-spec 1.1), which
 * `ctr images import` reads. Tulle's own image comes from image/build.ts.
 */
export async function writeProgramImage(file: string, image: ProgramImage): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-program-image-'));
  try {
    const root = join(folder, 'root');
    for (const [path, source] of Object.entries(image.files)) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      copyFileSync(source, join(root, path));
    }
    const layout = join(folder, 'layout');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    const layer = join(folder, 'layer.tar');
    await output('tar', '-C', root, '--owner=0', '--group=0', '--numeric-owner', '-cf', layer, '.');
    writeLayout(layout, readFileSync(layer), image);
    await output('tar', '-C', layout, '-cf', file, '.');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function writeLayout(layout: string, layer: Buffer, { names, entrypoint }: ProgramImage): void {
  const put = (type: string, content: Buffer | object) => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const sum = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(layout, 'blobs/sha256', sum), bytes);
    return { mediaType: `application/vnd.oci.image.${type}`, digest: `sha256:${sum}`, size: bytes.length };
  };
  const layers = [put('layer.v1.tar', layer)];
  const config = put('config.v1+json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: entrypoint, Env: ['PATH=/'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = put('manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers,
  });
  const manifests = names.map((name) => ({
    ...manifest,
    annotations: { 'io.containerd.image.name': name },
  }));
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}
