import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const LIMIT_MS = 180_000;

/**
 * The archive of Tulle's image: the one that $TULLE_IMAGE names, else built into `file`. Throws an Error with the
 * builder's words.
 */
export function tulleImage(file: string): string {
  const given = process.env.TULLE_IMAGE;
  if (given !== undefined && existsSync(given)) return given;
  run('build.ts');
  run('image/build.ts', '--out', file);
  return file;
}

function run(script: string, ...args: readonly string[]): void {
  const { status, stderr, stdout } = spawnSync(process.execPath, [script, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  if (status !== 0) throw new Error(`${script} failed: ${stderr || stdout}`);
}
