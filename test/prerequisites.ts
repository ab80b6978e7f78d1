import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Something that tests need and npm does not bring. */
export interface Prerequisite {
  readonly name: string;
  /** Which tests need it, and what for. */
  readonly why: string;
  isThere(): boolean;
  /** Debian's packages that bring it. */
  readonly packages: readonly string[];
}

/** None yet. Parts of the project that need a program add it: Redis, PostgreSQL, Chromium ... */
const PREREQUISITES: readonly Prerequisite[] = [];

/** Whether a program is there to be run. */
export function onPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isRunnable(join(folder, command)));
}

function isRunnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The line that brings what is missing on Debian; undefined when nothing is. */
export function installLine(needed: readonly Prerequisite[]): string | undefined {
  const packages = needed.filter((one) => !one.isThere()).flatMap((one) => one.packages);
  if (packages.length === 0) return undefined;
  return `apt-get update && apt-get install -y --no-install-recommends ${[...new Set(packages)].join(' ')}`;
}

/** Installs what is missing as root on Debian; else throws an Error with the line that does it. */
export function ensurePrerequisites(needed: readonly Prerequisite[] = PREREQUISITES): void {
  const line = installLine(needed);
  if (line === undefined) return;
  const missing = needed.filter((one) => !one.isThere());
  const told = missing.map(({ name, why }) => `${name} (${why})`).join(', ');
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(`the tests need ${told}; install it:\n  ${line}`);
  }
  console.log(`installing ${told}:\n  ${line}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'], env });
  const still = missing.filter((one) => !one.isThere());
  if (still.length > 0) {
    throw new Error(`${still.map(({ name }) => name).join(', ')} still missing after:\n  ${line}`);
  }
}
