import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of the repository, absolute. */
export const ROOT = join(import.meta.dirname, '../..');

/** Text of one of the repository's files. */
export function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}
