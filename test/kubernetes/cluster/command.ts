import { execFile } from 'node:child_process';

const LIMIT_MS = 120_000;
const MAX_OUTPUT = 64 * 1024 * 1024;

/** Runs a program to its end and returns what it printed. Rejects with its words when it fails or takes too long. */
export function output(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT } as const;
    const child = execFile(command, args, limits, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.end();
  });
}
