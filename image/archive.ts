import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A blob of the archive, as others refer to it (OCI image-spec, descriptor.md). */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface ImageConfig {
  /** With its tag, like `docker.io/library/tulle:0.1.0`. */
  readonly name: string;
  /** Go's name of it: amd64, arm64. */
  readonly architecture: string;
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WrittenImage {
  /** Of the manifest: what a registry would call the image by. */
  readonly digest: string;
  /** Bytes that a pull takes. */
  readonly compressed: number;
  /** Bytes on a node's disk. */
  readonly unpacked: number;
}

/**
 * Writes an image as an OCI archive (image-spec 1.1): what `ctr images import`, `skopeo` and `docker load` read.
 * The same folders give the same digest. `layers`: folders, the lowest first.
 */
export function writeArchive(file: string, layers: readonly string[], config: ImageConfig): WrittenImage {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-image-'));
  try {
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
    const tars = layers.map(tar);
    const blobs = tars.map((bytes) =>
      put(folder, 'application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(bytes)),
    );
    const imageConfig = put(folder, 'application/vnd.oci.image.config.v1+json', {
      architecture: config.architecture,
      os: 'linux',
      config: {
        User: config.user,
        Env: ['PATH=/usr/sbin:/usr/bin'],
        Entrypoint: config.entrypoint,
        Labels: config.labels,
      },
      rootfs: { type: 'layers', diff_ids: tars.map(digest) },
    });
    const manifest = put(folder, 'application/vnd.oci.image.manifest.v1+json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: imageConfig,
      layers: blobs,
    });
    const annotations = {
      'io.containerd.image.name': config.name,
      'org.opencontainers.image.ref.name': config.name.slice(config.name.lastIndexOf(':') + 1),
    };
    const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
    writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
    writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    writeFileSync(file, tar(folder));
    return {
      digest: manifest.digest,
      compressed: blobs.reduce((sum, { size }) => sum + size, 0),
      unpacked: tars.reduce((sum, bytes) => sum + bytes.length, 0),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A folder as a tar that depends on names, modes and content only. */
function tar(folder: string): Buffer {
  const options = [
    '--format=ustar',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
  ];
  return execFileSync('tar', [...options, '-C', folder, '-cf', '-', '.'], {
    maxBuffer: 1024 ** 3,
  });
}

function put(folder: string, mediaType: string, content: Buffer | object): Descriptor {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const name = digest(bytes);
  writeFileSync(join(folder, 'blobs', name.replace(':', '/')), bytes);
  return { mediaType, digest: name, size: bytes.length };
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
