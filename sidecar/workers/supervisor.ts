import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { TicketKeys } from '../identity/tls-contexts.ts';
import { openAdminPorts } from '../listeners/admin-ports.ts';
import type { Log } from '../log.ts';
import { openIdentity } from '../open-identity.ts';
import type { Addresses, Running, SidecarOptions } from '../options.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import type { IdentityMessage, ToWorker } from './messages.ts';
import { reserveAddress } from './reserve-address.ts';
import { SharedView } from './shared-view.ts';
import { WorkerProcess } from './worker-process.ts';

const DRAIN_MS = 10_000;
/** How much longer than its drain a worker may take to end. */
const ENDING_MS = 2_000;

/** How worker processes are started: as this process was. */
export interface Entry {
  readonly script: string;
  readonly args: readonly string[];
}

/**
 * Starts `count` processes that listen on the same addresses, and shows them as one data plane. Resolves once
 * all of them accept. Throws an Error that names what cannot be used.
 */
export async function startWorkers(
  count: number,
  options: SidecarOptions,
  entry: Entry,
  log: Log,
): Promise<Running> {
  const supervisor = new Supervisor(count, options, entry, log);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.close();
    throw error;
  }
  return supervisor;
}

class Supervisor implements Running {
  readonly addresses: Addresses = {};
  private readonly options: SidecarOptions;
  private readonly log: Log;
  private readonly workers: readonly WorkerProcess[];
  private readonly view: SharedView;
  private readonly ticketKeys = new TicketKeys();
  private identity: IdentitySource | undefined = undefined;
  private closeAdmin = (): void => {};
  private drained: Promise<void> | undefined = undefined;

  constructor(count: number, options: SidecarOptions, entry: Entry, log: Log) {
    this.options = options;
    this.log = log;
    const parts = {
      ...entry,
      of: count,
      log,
      start: () => this.startMessage(),
      onEnded: (worker: WorkerProcess) => this.view.keepCounters(worker),
    };
    this.workers = Array.from({ length: count }, (_, index) => new WorkerProcess(index + 1, parts));
    this.view = new SharedView(this.workers, () => this.identity);
    // Stopped at once by a second signal: nobody is left to end the workers.
    process.once('exit', () => {
      if (this.drained !== undefined) for (const worker of this.workers) worker.kill();
    });
  }

  async start(): Promise<void> {
    const { identity } = this.options;
    await this.reserveAddresses();
    // Files are read by each worker; what a control plane issues is asked for once, for all.
    if (identity === undefined) this.identity = await openIdentity(this.options, this.log);
    this.identity?.onChange((next) => this.tellIdentity(next));
    const started = Promise.all(this.workers.map((worker) => worker.start()));
    started.catch(() => {}); // a rejection is for the one who waits for it below
    const sources = { ...this.view.sources(), drain: () => void this.drain() };
    const opened = await openAdminPorts(this.options, sources, DEFAULT_LIMITS, new TimerWheel());
    Object.assign(this.addresses, opened.addresses);
    this.closeAdmin = opened.close;
    await started;
  }

  private async reserveAddresses(): Promise<void> {
    const { outboundServices } = this.options;
    for (const name of ['inbound', 'outbound', 'gateway'] as const) {
      const address = this.options[name];
      if (address !== undefined) this.addresses[name] = await reserveAddress(address);
    }
    if (outboundServices === undefined) return;
    const bound: Record<string, string> = {};
    for (const { service, address } of outboundServices) bound[service] = await reserveAddress(address);
    this.addresses.outboundServices = bound;
  }

  drain(): Promise<void> {
    this.drained ??= this.drainOnce();
    return this.drained;
  }

  async close(): Promise<void> {
    for (const worker of this.workers) worker.kill();
    this.identity?.close();
    this.closeAdmin();
  }

  private async drainOnce(): Promise<void> {
    const limitMs = (this.options.drainMs ?? DRAIN_MS) + ENDING_MS;
    this.view.draining = true;
    await Promise.all(this.workers.map((worker) => worker.stop(limitMs)));
    await this.close();
  }

  private startMessage(): ToWorker {
    const { admin: _admin, health: _health, ...addresses } = this.addresses;
    const identity = this.identity?.current();
    return {
      type: 'start',
      addresses,
      ...(identity !== undefined && { identity: this.identityMessage(identity) }),
    };
  }

  private tellIdentity(identity: Identity): void {
    const message = this.identityMessage(identity);
    for (const worker of this.workers) worker.tell(message);
  }

  /** The key goes to processes of the same user on the same machine, by a pipe. */
  private identityMessage(identity: Identity): IdentityMessage {
    const { chainPem, keyPem, bundlePem } = identity;
    const ticketKeys = this.ticketKeys.for(identity).toString('base64');
    return { type: 'identity', chainPem, keyPem, bundlePem, ticketKeys };
  }
}
