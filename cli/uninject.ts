import { uninjectManifests } from '../injector/manifests.ts';
import { printManifests, readManifests } from './inject.ts';

/** Takes out of a file of manifests what `tulle inject` put in, and nothing else. */
export async function uninjectCommand(file: string): Promise<void> {
  printManifests(uninjectManifests(await readManifests(file)));
}
