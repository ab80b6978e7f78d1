import type { Limits } from '../http/limits.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { type AdminSources, openAdmin } from './admin.ts';
import { openHealthPort } from './health-port.ts';
import type { PodOptions } from './pod.ts';

/** Where a data plane shows itself: HOST:PORT each. */
interface AdminAddresses {
  readonly admin?: string;
  /** Health and metrics alone, for the whole cluster. */
  readonly health?: string;
  readonly pod?: PodOptions;
}

/** Opens the ports on which a data plane shows itself. Throws an error that names the address. */
export async function openAdminPorts(
  { admin, health, pod }: AdminAddresses,
  sources: AdminSources,
  limits: Limits,
  wheel: TimerWheel,
): Promise<{ readonly addresses: { admin?: string; health?: string }; close(): void }> {
  const addresses: { admin?: string; health?: string } = {};
  const opened: { close(): void }[] = [];
  const close = (): void => {
    for (const one of opened) one.close();
  };
  try {
    if (admin !== undefined) {
      const port = await openAdmin(admin, sources, limits, wheel);
      opened.push(port);
      addresses.admin = port.address;
    }
    if (health !== undefined) {
      const ports = pod?.probes.flatMap(({ kind, port }) => (kind === 'tcp' ? [port] : [])) ?? [];
      const probed = { host: pod?.ips[0] ?? '127.0.0.1', ports };
      const port = await openHealthPort(health, sources, probed, limits, wheel);
      opened.push(port);
      addresses.health = port.address;
    }
  } catch (error) {
    close();
    throw error;
  }
  return { addresses, close };
}
