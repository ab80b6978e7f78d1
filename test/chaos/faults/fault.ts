import type { ChaosMesh } from '../mesh.ts';
import type { Schedulable } from '../schedule.ts';

/** Something that goes wrong, and is put right again. */
export interface Fault extends Schedulable {
  /** Makes it at `target`, waits `lastsMs`, heals it, and resolves when the part is as before. Says what it impairs meanwhile. */
  strike(mesh: ChaosMesh, target: string, lastsMs: number): Promise<void>;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
