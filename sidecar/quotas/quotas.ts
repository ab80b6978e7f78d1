import type { Log } from '../log.ts';
import type { Quota, QuotaSource } from './account.ts';
import type { ControlSessions } from './control-plane-link.ts';
import { LocalQuotas, type WorkerPlace } from './local-quotas.ts';
import type { QuotaNumbers } from './quota-numbers.ts';

/** All quotas of a data plane: those of services, which it shares with others, and those that are its own. */
export class Quotas {
  /** Shared with the other sidecars of a service through a control plane; without one kept here. */
  readonly shared: QuotaSource;
  /** Of what this data plane alone serves: a port of its pod that no service sends to. */
  readonly own: QuotaSource;

  constructor(own: QuotaSource = new LocalQuotas(), shared: QuotaSource = own) {
    this.own = own;
    this.shared = shared;
  }

  *figures(): Iterable<{ quota: string; held: number } & QuotaNumbers> {
    for (const quota of this.all()) yield { quota: quota.id, ...quota.numbers, held: quota.held() };
  }

  close(): void {
    this.own.close();
    if (this.shared !== this.own) this.shared.close();
  }

  private *all(): Iterable<Quota> {
    yield* this.own.all();
    if (this.shared !== this.own) yield* this.shared.all();
  }
}

/** Whose quotas these are. */
interface QuotaHolder {
  readonly worker?: WorkerPlace | undefined;
  /** Where it alone can listen, as in node-name.ts. */
  readonly addresses: readonly string[];
  /** `namespace/name` of the Gateway whose proxy this is. */
  readonly gatewayName?: string | undefined;
}

/** Quotas drawn from control planes, or kept here. What only the former needs is loaded only there. */
export async function openQuotas(
  sessions: ControlSessions | undefined,
  { worker, addresses, gatewayName }: QuotaHolder,
  log: Log,
): Promise<Quotas> {
  const own = new LocalQuotas(worker);
  if (sessions === undefined) return new Quotas(own);
  const { openQuotaLink } = await import('./control-plane-link.ts');
  const { DrawnQuotas } = await import('./drawn-quotas.ts');
  const { nodeName } = await import('./node-name.ts');
  const node = { node: nodeName(addresses), gatewayName };
  return new Quotas(own, new DrawnQuotas(() => openQuotaLink(sessions, node, log)));
}
