import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { parseMesh } from '../../protocol/mesh-file.ts';
import { resourcesOf } from '../../protocol/resources.ts';
import type { MeshReading } from './standalone.ts';

/** A thread of its own: reads one mesh.yaml, posts what is in it, and ends. */
function read(file: string): MeshReading {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const message = `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
    return { problems: [{ severity: 'error', file, field: '', value: '', message, meant: '' }] };
  }
  const { mesh, problems } = parseMesh(text, file);
  return mesh === undefined ? { problems } : { resources: resourcesOf(mesh), problems };
}

parentPort?.postMessage(read((workerData as { file: string }).file));
