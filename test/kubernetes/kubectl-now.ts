import { spawnSync } from 'node:child_process';

const LIMIT_MS = 60_000;

/** Runs kubectl on the cluster of KUBECONFIG and returns what it printed. Throws an Error with its words. */
export function kubectl(args: readonly string[], input?: object | string): string {
  const { status, stdout, stderr, error } = spawnSync('kubectl', args, {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    ...(input !== undefined && { input: typeof input === 'string' ? input : JSON.stringify(input) }),
  });
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')} failed: ${stderr}${error?.message ?? ''}`);
  return stdout;
}

/** Creates or changes objects. */
export function apply(...items: object[]): void {
  kubectl(['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items });
}
