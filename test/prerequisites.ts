import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A program that tests need besides Node. */
interface Prerequisite {
  readonly command: string;
  /** Debian's package. */
  readonly packageName: string;
  readonly why: string;
}

/** Later parts of the project add theirs: Redis, PostgreSQL, Chromium ... */
const PREREQUISITES: readonly Prerequisite[] = [
  { command: 'openssl', packageName: 'openssl', why: 'a second opinion on certificates' },
];

function isThere(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}

/** Installs what is missing as root on Debian; else throws an Error with the line that does it. */
export function ensurePrerequisites(): void {
  const missing = PREREQUISITES.filter(({ command }) => !isThere(command));
  if (missing.length === 0) return;
  const packages = missing.map(({ packageName }) => packageName).join(' ');
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages}`;
  const told = missing.map(({ command, why }) => `${command} (${why})`).join(', ');
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) throw new Error(`the tests need ${told}; install it:\n  ${line}`);
  console.log(`installing ${told}`);
  const installed = spawnSync('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  if (installed.status !== 0) throw new Error(`the tests need ${told}, and this failed:\n  ${line}`);
}
