import { readFileSync, writeSync } from 'node:fs';
import { parseMesh } from '../../protocol/mesh-file.ts';
import { resourcesOf } from '../../protocol/resources.ts';
import type { MeshReading } from './standalone.ts';

/** A process of its own: reads the mesh.yaml named by its argument, prints what is in it as JSON, and ends. */
function read(file: string): MeshReading {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const message = `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
    return { problems: [{ severity: 'error', file, field: '', value: '', message, meant: '' }] };
  }
  const { mesh, problems } = parseMesh(text, file);
  if (mesh === undefined) return { problems };
  const { trustDomain, services, gateways } = resourcesOf(mesh);
  return {
    found: { trustDomain, services: [...services.values()], gateways: [...gateways.values()] },
    problems,
  };
}

const output = Buffer.from(JSON.stringify(read(process.argv[2] ?? '')));
for (let written = 0; written < output.length; ) written += writeSync(1, output, written);
