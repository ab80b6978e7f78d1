import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/**
 * How the store of quotas knows a data plane. One that is started again in the place of one that died is the same there: its
 * share is not kept for the dead besides. The place are the addresses in a network namespace at which it alone can listen,
 * as `HOST:PORT`. Where there are none, or the kernel chooses the ports, the name is by chance.
 */
export function nodeName(listens: readonly string[]): string {
  const fixed = listens.filter((address) => !address.endsWith(':0'));
  if (fixed.length === 0) return randomUUID();
  try {
    const machine = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    const place = [machine, readlinkSync('/proc/self/ns/net'), ...fixed].join('\n');
    return createHash('sha256').update(place).digest('hex');
  } catch {
    return randomUUID(); // no Linux
  }
}
