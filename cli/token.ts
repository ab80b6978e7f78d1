import { mintJoinToken } from '../control-plane/authority/join-token.ts';
import { durationOption } from './flags.ts';

/** Prints a join token for a workload. */
export async function tokenCommand(workload: string, options: { state: string; ttl: string }): Promise<void> {
  console.log(await mintJoinToken(options.state, workload, durationOption('--ttl', options.ttl)));
}
