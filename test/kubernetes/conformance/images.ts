import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goPrograms } from '../../fixture/go-programs.ts';
import { writeKeys } from '../cluster/keys.ts';
import { type ProgramImage, writeProgramImage } from '../cluster/program-image.ts';
import { clusterPrograms } from '../cluster/programs.ts';
import type { Cluster } from '../cluster.ts';

const REGISTRY = 'registry.k8s.io';

/** The images that the suite's manifests name, built here from the same sources: nothing is pulled. `keys`: of the echo. */
function conformanceImages(keys: string): ProgramImage[] {
  const basic = goPrograms(import.meta.dirname, 'gateway-api-echo');
  // Istio's program, as the suite's own image of that name: its client prints what the suite's mesh cases read.
  const advanced = goPrograms(join(import.meta.dirname, 'echo-advanced'), 'istio-echo');
  const tags = ['v1.5.1', 'v1.6.0-dev.2', 'v1.6.0-dev.3'];
  return [
    {
      names: tags.map((tag) => `${REGISTRY}/gateway-api/echo-basic:${tag}`),
      files: { '/echo-basic': join(basic, 'echo-basic') },
      entrypoint: ['/echo-basic'],
    },
    {
      names: [`${REGISTRY}/gateway-api/echo-advanced:v1.5.1`],
      files: {
        '/server': join(advanced, 'server'),
        '/client': join(advanced, 'client'),
        '/cert.crt': join(keys, 'server.crt'),
        '/cert.key': join(keys, 'server.key'),
      },
      entrypoint: ['/server'],
    },
    {
      names: [`${REGISTRY}/coredns/coredns:v1.12.2`],
      files: { '/coredns': join(clusterPrograms(console.log), 'coredns') },
      entrypoint: ['/coredns'],
    },
  ];
}

/** Builds the suite's images and loads them into a cluster. */
export async function loadConformanceImages(cluster: Cluster): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-conformance-'));
  try {
    await writeKeys(folder, ['127.0.0.1'], []);
    for (const [index, image] of conformanceImages(folder).entries()) {
      const file = join(folder, `${index}.tar`);
      await writeProgramImage(file, image);
      await cluster.loadImage(file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
