import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { parseKubernetesVersion } from '../injector/kubernetes-version.ts';
import { injectManifests, type Rewritten } from '../injector/manifests.ts';
import { peerAddressOption } from './flags.ts';

export interface InjectFlags {
  image: string;
  controlPlane: string;
  kubernetesVersion: string;
  cni?: boolean;
}

/** Injects the pod templates of a file of manifests; prints them, and what became of each on standard error. */
export async function injectCommand(file: string, flags: InjectFlags): Promise<void> {
  const cluster = parseKubernetesVersion(flags.kubernetesVersion);
  if (cluster === undefined)
    throw new Error(`--kubernetes-version "${flags.kubernetesVersion}" is not a version; write it like 1.30`);
  const manifests = await readManifests(file);
  const config = {
    image: flags.image,
    controlPlane: peerAddressOption('--control-plane', flags.controlPlane),
    cluster,
    cni: flags.cni === true,
    systemNamespace: 'tulle-system',
  };
  printManifests(injectManifests(manifests, config));
}

/** A file, or `-` for standard input. Throws an Error that names a file which cannot be read. */
export async function readManifests(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** Exits 1 if there was a pod that could not be injected. */
export function printManifests({ text: manifests, notes }: Rewritten): void {
  process.stdout.write(manifests);
  for (const { object, said } of notes) console.error(`${object}: ${said}`);
  if (notes.some(({ isError }) => isError)) process.exitCode = 1;
}
