import type { Log } from '../log.ts';
import type { DataPlaneView, RunningSidecar, SidecarOptions } from '../options.ts';
import { MAX_BODY, type Question, readToWorker, type ToSupervisor, type ToWorker } from './messages.ts';
import { processNumbers } from './process-numbers.ts';
import { ToldIdentity } from './told-identity.ts';

type Start = (options: SidecarOptions, log: Log) => Promise<RunningSidecar>;
type StartMessage = Extract<ToWorker, { type: 'start' }>;

/**
 * Runs this process as one of several workers, from the first word of its supervisor until it is told to
 * drain, or the supervisor is gone. `place`: `2/4` for the second of four. Throws an Error if there is no supervisor.
 */
export function runWorker(place: string, options: SidecarOptions, log: Log, start: Start): void {
  const [, number = '', of = ''] = /^(\d{1,2})\/(\d{1,2})$/.exec(place) ?? [];
  if (number === '' || process.send === undefined)
    throw new Error('TULLE_WORKER is for processes that tulle itself starts: take it out of the environment');
  const worker = new Worker(Number(number), Number(of), options, numbered(log, Number(number)), start);
  process.on('message', (message) => worker.onMessage(message));
  process.on('disconnect', () => worker.drain());
  // Both go to all processes of a terminal or of a service: the supervisor decides what they mean.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => worker.drain());
  send({ type: 'hello' });
}

function send(message: ToSupervisor): void {
  // Gone meanwhile: 'disconnect' tells.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function numbered(log: Log, worker: number): Log {
  return {
    debug: (details, message) => log.debug({ worker, ...details }, message),
    info: (details, message) => log.info({ worker, ...details }, message),
    warn: (details, message) => log.warn({ worker, ...details }, message),
    error: (details, message) => log.error({ worker, ...details }, message),
  };
}

class Worker {
  private readonly number: number;
  private readonly of: number;
  private readonly options: SidecarOptions;
  private readonly log: Log;
  private readonly startSidecar: Start;
  private readonly identity = new ToldIdentity();
  private sidecar: RunningSidecar | undefined = undefined;
  private draining = false;

  constructor(number: number, of: number, options: SidecarOptions, log: Log, startSidecar: Start) {
    this.number = number;
    this.of = of;
    this.options = options;
    this.log = log;
    this.startSidecar = startSidecar;
  }

  onMessage(received: unknown): void {
    const message = readToWorker(received);
    switch (message?.type) {
      case 'start':
        void this.start(message);
        return;
      case 'identity':
        this.takeIdentity(message);
        return;
      case 'ask':
        send(this.answer(message.id, message.question, message.argument));
        return;
      case 'drain':
        this.drain();
        return;
      default:
        this.log.error({}, 'the supervisor sent what this worker does not understand');
    }
  }

  /** Once, whoever asks; the process ends with it. */
  drain(): void {
    if (this.draining) return;
    this.draining = true;
    const drained = this.sidecar?.drain() ?? Promise.resolve();
    drained.then(
      () => process.exit(0),
      (error: unknown) => {
        this.log.error({ error: String(error) }, 'the drain failed');
        process.exit(1);
      },
    );
  }

  private async start({ addresses, identity }: StartMessage): Promise<void> {
    const { admin: _admin, health: _health, ...options } = this.options;
    const fromControlPlane = options.controlPlane !== undefined && options.identity === undefined;
    if (identity !== undefined) this.takeIdentity(identity);
    const worker = { number: this.number, of: this.of, ...(fromControlPlane && { identity: this.identity }) };
    try {
      this.sidecar = await this.startSidecar({ ...options, ...reserved(addresses), worker }, this.log);
      send({ type: 'accepting' });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      process.send?.({ type: 'failed', message } satisfies ToSupervisor, undefined, undefined, () =>
        process.exit(1),
      );
    }
  }

  private takeIdentity(message: Extract<ToWorker, { type: 'identity' }>): void {
    try {
      this.identity.take(message);
    } catch (error) {
      this.log.error({ error: String(error) }, 'the supervisor sent an identity that cannot be used');
    }
  }

  private answer(id: number, question: Question, argument: string): ToSupervisor {
    const { sidecar } = this;
    if (sidecar === undefined) return { type: 'answer', id };
    const body = JSON.stringify(answerTo(sidecar.view, question, argument) ?? null);
    return body.length > MAX_BODY ? { type: 'answer', id } : { type: 'answer', id, body };
  }
}

function answerTo(view: DataPlaneView, question: Question, argument: string): unknown {
  switch (question) {
    case 'ready':
      return view.ready();
    case 'config':
      return view.config();
    case 'certs':
      return view.certs();
    case 'explain':
      return view.explain(argument);
    case 'recent':
      return view.recent(Number(argument));
    case 'numbers':
      return {
        edges: view.edges.all().map((stats) => stats.numbers()),
        gauges: view.gauges(),
        process: processNumbers(),
      };
  }
}

/** The addresses that were reserved, as a data plane is given them. */
function reserved({ outboundServices, ...addresses }: StartMessage['addresses']): Partial<SidecarOptions> {
  if (outboundServices === undefined) return addresses;
  const services = Object.entries(outboundServices);
  return { ...addresses, outboundServices: services.map(([service, address]) => ({ service, address })) };
}
