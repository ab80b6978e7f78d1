import { issueFiles } from '../control-plane/authority/issue-files.ts';

/** Writes certificate, key and bundle of a workload to files, and prints what `--identity` takes. */
export async function identityCommand(
  workload: string,
  options: { out: string; trustDomain: string },
): Promise<void> {
  const { cert, key, bundle } = await issueFiles(options.out, options.trustDomain, workload);
  console.log(`${cert},${key},${bundle}`);
}
