import { randomOf } from './random.ts';

/** What a fault can hit; the mesh says which parts of each kind it has. */
export type Aim =
  | 'endpoint'
  | 'entry'
  | 'service'
  | 'control-plane'
  | 'control-planes'
  | 'names'
  | 'disk'
  | 'redis';

/** What the schedule must know of a fault. */
export interface Schedulable {
  readonly name: string;
  readonly aim: Aim;
  /** How long it lasts, shortest and longest, in ms. */
  readonly lastsMs: readonly [number, number];
}

/** One fault at its time. */
export interface Planned {
  /** Since the storm began. */
  readonly atMs: number;
  readonly fault: string;
  readonly target: string;
  readonly lastsMs: number;
}

export type Targets = Readonly<Record<Aim, readonly string[]>>;

/** Between two faults of one group: what the first one hurt is well again, so that no request has to survive both. */
const REST_MS = 6_000;
/** Between any two faults. */
const GAP_MS = [400, 2_500] as const;

/**
 * The faults of one storm: a pure function of its arguments. Each fault comes once before any comes twice. Faults of
 * one service do not overlap, so that a healthy endpoint is left; those of different groups may.
 */
export function planStorm(
  seed: number,
  faults: readonly Schedulable[],
  targets: Targets,
  stormMs: number,
): Planned[] {
  const random = randomOf(seed);
  const busyUntil = new Map<string, number>();
  const plan: Planned[] = [];
  let deck: Schedulable[] = [];
  let atMs = 0;
  const possible = faults.filter(({ aim }) => targets[aim].length > 0);
  if (possible.length === 0) return [];
  for (;;) {
    atMs += random.between(...GAP_MS);
    if (deck.length === 0) deck = random.shuffled(possible);
    const fault = deck.shift() as Schedulable; // the deck has one
    const target = random.pick(targets[fault.aim]);
    const lastsMs = random.between(...fault.lastsMs);
    const group = groupOf(fault.aim, target);
    const free = busyUntil.get(group) ?? 0;
    const from = Math.max(atMs, free);
    if (from + lastsMs > stormMs) return plan.sort((a, b) => a.atMs - b.atMs);
    busyUntil.set(group, from + lastsMs + REST_MS);
    plan.push({ atMs: from, fault: fault.name, target, lastsMs });
  }
}

/** Faults of one group come one after the other: those of a service's endpoints, of a client's own sidecar ... */
export function groupOf(aim: Aim, target: string): string {
  if (aim === 'endpoint') return target.replace(/-\d+$/, '');
  if (aim === 'control-plane' || aim === 'control-planes' || aim === 'disk') return 'control-plane';
  return target;
}
