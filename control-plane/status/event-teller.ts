import { hostname } from 'node:os';
import { EventsV1Api, PatchStrategy } from '@kubernetes/client-node';
import { type ApiServer, reasonOf, statusOf } from '../kubernetes/api-server.ts';
import type { Log } from '../log.ts';
import type { ObjectProblem } from '../registry/kubernetes/object-problem.ts';
import { newEvent, type ObjectEvent, objectEvent } from './object-event.ts';

/** The API server forgets Events after an hour; what is still wrong is told again before. */
const AGAIN_MS = 30 * 60_000;
/** What comes and goes and comes is not told oftener. */
const LEAST_AGAIN_MS = 5 * 60_000;
/** At first so many at once, then one each second: an API server has other things to do. */
const BURST = 50;
const REFILL_MS = 1_000;
const FORGET_MS = 2 * AGAIN_MS;
/** After an attempt that nobody answered. */
const RETRY_MS = 10_000;
/** What is refused would be refused again, like Events in a namespace that ends. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 422]);

export interface EventTellerOptions {
  readonly api: ApiServer;
  readonly mayWrite: () => boolean;
  readonly problems: () => readonly ObjectProblem[];
  /** Namespaces that are this mesh's. */
  readonly inScope: (namespace: string) => boolean;
  readonly log: Log;
  /** For tests: at first so many at once. */
  readonly burst?: number;
}

/** Tells by Events, at the objects themselves, what is wrong in them. */
export interface EventTeller {
  /** Problems may have come or gone. */
  look(): void;
  close(): void;
}

export function tellByEvents(options: EventTellerOptions): EventTeller {
  return new Teller(options);
}

interface Told {
  readonly event: ObjectEvent;
  problem: ObjectProblem;
  count: number;
  /** performance.now(); -Infinity: not yet. */
  toldMs: number;
  /** It is wrong now. */
  present: boolean;
  /** It was right meanwhile. */
  cameBack: boolean;
}

const NEVER = { count: 0, toldMs: -Infinity, present: true, cameBack: false };

class Teller implements EventTeller {
  private readonly options: EventTellerOptions;
  private readonly events: EventsV1Api;
  private readonly byName = new Map<string, Told>();
  /** Problems stay the same objects as long as they last. */
  private readonly known = new WeakMap<ObjectProblem, ObjectEvent>();
  private readonly pending = new Set<Told>();
  /** When each namespace was told of last, in turns. */
  private readonly toldIn = new Map<string, number>();
  private turn = 0;
  private tokens: number;
  private readonly timer: NodeJS.Timeout;
  private closed = false;

  constructor(options: EventTellerOptions) {
    this.options = options;
    this.events = options.api.client(EventsV1Api, PatchStrategy.MergePatch);
    this.tokens = options.burst ?? BURST;
    this.timer = setInterval(() => this.tick(), REFILL_MS);
  }

  look(): void {
    if (this.closed) return;
    const before = new Set([...this.byName.values()].filter(({ present }) => present));
    for (const told of this.byName.values()) told.present = false;
    for (const problem of this.options.problems()) {
      if (!this.isInScope(problem)) continue;
      const event = this.known.get(problem) ?? objectEvent(problem);
      this.known.set(problem, event);
      const id = `${event.namespace}/${event.name}`;
      const told = this.byName.get(id) ?? { event, problem, ...NEVER };
      if (told.count > 0 && !before.has(told)) told.cameBack = true;
      told.present = true;
      told.problem = problem;
      this.byName.set(id, told);
    }
    this.proceed();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  private isInScope({ reference: { kind, namespace, name } }: ObjectProblem): boolean {
    const own = kind === 'Namespace' ? name : namespace;
    return own === undefined || this.options.inScope(own);
  }

  private tick(): void {
    this.tokens = Math.min(this.tokens + 1, this.options.burst ?? BURST);
    const now = performance.now();
    for (const [id, { present, toldMs }] of this.byName)
      if (!present && now - toldMs > FORGET_MS) this.byName.delete(id);
    if (this.byName.size === 0) this.toldIn.clear();
    this.proceed();
  }

  private proceed(): void {
    while (this.tokens >= 1 && this.options.mayWrite()) {
      const told = this.next();
      if (told === undefined) return;
      this.tokens--;
      this.toldIn.set(told.event.namespace, ++this.turn);
      this.pending.add(told);
      void this.tell(told).finally(() => this.pending.delete(told));
    }
  }

  /** Of the namespace that was told of longest ago: one in which all is wrong does not silence the others. */
  private next(): Told | undefined {
    const now = performance.now();
    let next: Told | undefined;
    let turn = Number.POSITIVE_INFINITY;
    for (const told of this.byName.values()) {
      const its = this.toldIn.get(told.event.namespace) ?? 0;
      if (its >= turn || !told.present || this.pending.has(told) || now - told.toldMs < waitMs(told))
        continue;
      next = told;
      turn = its;
    }
    return next;
  }

  private async tell(told: Told): Promise<void> {
    told.toldMs = performance.now();
    told.count++;
    told.cameBack = false;
    const { name, namespace } = told.event;
    try {
      if (told.count > 1) await this.repeat(told);
      else await this.create(told);
    } catch (error) {
      if (!REFUSALS.has(statusOf(error) ?? 0)) {
        told.count--;
        told.toldMs = performance.now() - AGAIN_MS + RETRY_MS;
      }
      this.options.log.debug(
        { event: name, namespace, error: reasonOf(error) },
        'an Event could not be written',
      );
    }
  }

  private async create(told: Told): Promise<void> {
    const body = newEvent(told.event, told.problem, hostname());
    try {
      await this.events.createNamespacedEvent({ namespace: told.event.namespace, body });
    } catch (error) {
      if (statusOf(error) !== 409) throw error; // the leader before told it
    }
  }

  private async repeat(told: Told): Promise<void> {
    const { name, namespace } = told.event;
    const lastObservedTime = new Date().toISOString().replace('Z', '000Z');
    const body = { series: { count: told.count, lastObservedTime } };
    try {
      await this.events.patchNamespacedEvent({ name, namespace, body });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      told.count = 1; // it was forgotten meanwhile
      await this.create(told);
    }
  }
}

/** How long after it was told it is told again. */
function waitMs({ count, cameBack, toldMs }: Told): number {
  if (count === 0 && toldMs === -Infinity) return 0;
  return cameBack ? LEAST_AGAIN_MS : AGAIN_MS;
}
