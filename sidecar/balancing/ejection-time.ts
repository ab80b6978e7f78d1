import type { CircuitBreakerSettings } from '../../protocol/traffic-policy.ts';
import type { Circuit } from '../upstream/circuit.ts';

/** Ejections of many sidecars that began together must not end together. */
const JITTER = 0.25;

type Bounds = Pick<CircuitBreakerSettings, 'ejectMinMs' | 'ejectMaxMs'>;

/** How long the next ejection lasts, in ms: the shortest time, doubled `level` times, up to a quarter more by chance; within the bounds. */
export function ejectionMs({ ejectMinMs, ejectMaxMs }: Bounds, level: number, random: () => number): number {
  const timeMs = ejectMinMs * 2 ** level;
  if (timeMs * (1 + JITTER) <= ejectMaxMs) return timeMs * (1 + JITTER * random());
  return Math.max(ejectMinMs, Math.min(timeMs, ejectMaxMs) - JITTER * random() * ejectMaxMs);
}

/** The highest level that still makes a difference. */
export function highestLevel({ ejectMinMs, ejectMaxMs }: Bounds): number {
  return Math.ceil(Math.log2(ejectMaxMs / ejectMinMs));
}

/** Good time makes up for ejections: as long as the last was takes one doubling back, half as long the one before, and so on. */
export function levelAfterGoodTime(
  { level, ejectedMs }: Pick<Circuit, 'level' | 'ejectedMs'>,
  goodMs: number,
): number {
  let left = level;
  let restMs = goodMs;
  for (let neededMs = ejectedMs; left > 0 && restMs >= neededMs; neededMs /= 2) {
    restMs -= neededMs;
    left--;
  }
  return left;
}
